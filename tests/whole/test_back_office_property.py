"""Every route of the back office against what its own document allows, and what it does not: nothing undeclared."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from easyisp_edge.domain.permissions import Role
from easyisp_edge.web.admin.operations import Door
from tests.whole.back_office_requests import IN_BRACES, right
from tests.whole.back_office_site import DOCUMENT, OPERATIONS, BackOfficeSite
from tests.whole.stage import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from schemathesis import APIOperation, Case

    from easyisp_edge.domain.users import StaffUser

EXAMPLES = 8
CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
# The same each time, and nothing kept between runs; a box under load is slow, not wrong.
REPEATABLE = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
# These take whatever is sent, and say so: there is nothing that the document does not allow.
TAKES_ALL = {"takeMpesaWebhook", "takeMpesaWebhookAtOldPath"}
# What takes away what other operations are tried on comes last.
LAST = ("clearManualPayments", "revokeGrant", "removePaymentGateway", "removeUser", "revokeMyToken", "logOut")
# The right request to these is one with a made-up password or token, or about a gateway with made-up keys of a tenant
# whose default a file names: what they do otherwise has tests of its own.
NEVER = {"logIn", "refreshLogin", "defaultPaymentGateway", "testPaymentGateway"}


@dataclass
class Driver:
    """Asks as one user, off the event loop that the box runs on.

    Args:
        site: The box.
        user: Who asks.
        token: What that user carries.
        leaving: Another user of the same kind, who logs out.
        loop: The box's.
        statuses: What was answered, by operation.
    """

    site: BackOfficeSite
    user: StaffUser
    token: str
    leaving: StaffUser
    loop: asyncio.AbstractEventLoop
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        load_all_checks()
        self.http = requests.Session()
        self.checks: Any = [CHECKS.get_one(name) for name in CHECKED]
        self.operations: dict[str, APIOperation[Any, Any, Any, Any]] = {}
        for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            self.operations[operation.definition.raw["operationId"]] = operation

    def drive(self) -> None:
        """Ask for everything, in each of three ways, and once more in the end."""
        try:
            in_order = sorted(self.operations, key=lambda name: (name in LAST and LAST.index(name) + 1, name))
            for name in in_order:
                self._near(name)
                self._by(name, GenerationMode.POSITIVE)
                if name not in TAKES_ALL:
                    self._by(name, GenerationMode.NEGATIVE)
            for name in in_order:  # now that much is over, gone or done already
                self._near(name, others=False)
        finally:
            self.http.close()

    def _near(self, name: str, *, others: bool = True) -> None:
        """The right request, about what there is, and then with some of what the document allows in place of it."""
        request, operation = right(name, self.site.ours.ids), self.operations[name]
        fields = sorted(_fields(name)) or ["nothing"]
        in_path = IN_BRACES.search(request.operation.path)

        def ask(case: Case[Any], others: set[str]) -> None:
            if in_path:
                case.path_parameters = {in_path[1]: request.path.split("/")[IN_BRACES_AT[name]]}
            case.query = request.query | {key: value for key, value in (case.query or {}).items() if key in others}
            if self.user.tenant_id is None and request.operation.of_tenant:
                case.query["tenantId"] = "east"
            if request.body is not None:
                allowed = case.body if isinstance(case.body, dict) else {}
                case.body = request.body | {key: value for key, value in allowed.items() if key in others}
            self._ask(name, case)

        strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        plain = settings(REPEATABLE, max_examples=1)(given(strategy)(lambda case: ask(case, set())))
        plain()
        if not others:
            return
        mixed = REPEATABLE(given(strategy, st.sets(st.sampled_from(fields), min_size=1, max_size=3))(ask))
        mixed()

    def _by(self, name: str, mode: GenerationMode) -> None:
        strategy = self.operations[name].as_strategy(generation_mode=mode)
        REPEATABLE(given(strategy)(lambda case: self._ask(name, case)))()

    def _ask(self, name: str, case: Case[Any]) -> None:
        token = self._new_login() if name == "logOut" else self.token
        source = f"10.9.{len(self.statuses) % 250}.{sum(self.statuses.get(name, Counter()).values()) % 250}"
        answer = case.call_and_validate(
            base_url=f"http://{HOST}:{self.site.ports['admin_port']}",
            session=self.http,
            headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": source},
            checks=self.checks,
            timeout=20,
        )
        self.statuses.setdefault(name, Counter())[answer.status_code] += 1

    def _new_login(self) -> str:
        """A login that may be ended."""
        return asyncio.run_coroutine_threadsafe(self.site.token(self.leaving), self.loop).result(10)


def _fields(name: str) -> set[str]:
    told = OPERATIONS[name]
    models = [model for model in (told.query, told.body) if model is not None]
    return {each.alias or "" for model in models for each in model.model_fields.values()} - {"tenantId"}


IN_BRACES_AT = {
    name: [bool(IN_BRACES.search(part)) for part in told.path.split("/")].index(True)
    for name, told in OPERATIONS.items()
    if IN_BRACES.search(told.path)
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BackOfficeSite]:
    """A box with something of everything."""
    async with BackOfficeSite(tmp_path) as site:
        await site.furnish(site.ours)
        yield site


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("role", "tenant_id"), [(Role.SUPER_ADMIN, None), (Role.ADMIN, "east")])
async def test_every_route_answers_as_the_document_says(
    site: BackOfficeSite, role: Role, tenant_id: str | None
) -> None:
    """No fault of ours, no status, content type or shape that is not declared, and nothing without a token.

    Every operation is done at least once, and refused at least once where it can be.
    """
    user = await site.user("driver@box.example", role, tenant_id)
    leaving = await site.user("leaving@box.example", role, tenant_id)
    token = await site.token(user)
    program = await site.done("POST", "/api/auth/tokens", token, name="to be revoked", permissions=["packages:view"])
    site.ours.ids["token"] = program["id"]
    driver = Driver(site, user, token, leaving, asyncio.get_running_loop())
    await asyncio.to_thread(driver.drive)
    assert driver.statuses.keys() == OPERATIONS.keys()
    never = {name for name, seen in driver.statuses.items() if OPERATIONS[name].status not in seen}
    assert never == NEVER
    closed = {name for name, told in OPERATIONS.items() if told.needs is not Door.OPEN}
    assert {name for name in closed if not set(driver.statuses[name]) & {400, 401, 404}} == set()
    assert (await site.ask("GET", "/api/auth/me", driver.token)).status == 200, "the driver was shut out meanwhile"
