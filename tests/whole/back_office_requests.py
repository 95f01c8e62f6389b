"""A right request to every operation of the back office, and what is named in it by an id of something."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from easyisp_edge.domain.pay_codes import check_character
from tests.whole.back_office_site import GATEWAY, OPERATIONS, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from easyisp_edge.web.admin.operations import Operation

IN_BRACES = re.compile(r"\{(\w+)\}")

# What `{id}` or its like is of, by the operation's path.
IN_PATHS = {
    "/api/auth/tokens/{id}": ("token",),
    "/api/users/{id}": ("user", "admin"),
    "/api/payment-gateways/{id}": ("gateway", "declared"),
    "/api/payment-gateways/{id}/default": ("gateway", "declared"),
    "/api/payment-gateways/{id}/test": ("gateway", "declared"),
    "/api/payments/unmatched/{id}/assign": ("unmatched", "payment", "receipt"),
    "/api/payments/{id}/refund": ("payment", "unmatched", "manual", "receipt"),
    "/api/packages/{id}": ("package",),
    "/api/customers/{id}": ("customer",),
    "/api/grants/{id}": ("grant",),
    "/api/grants/{id}/extend": ("grant",),
    "/api/grants/{id}/revoke": ("grant",),
    "/api/grants/{id}/move": ("grant",),
    "/api/grants/{id}/switch": ("grant",),
    "/api/vouchers/{batchId}": ("batch",),
    "/api/vouchers/{batchId}/revoke": ("batch",),
    "/api/vouchers/{batchId}/sheet": ("batch",),
    "/api/problems/{id}/done": ("problem",),
}
# What a field of a query or a body names, by the field.
IN_FIELDS = {
    "customerId": "customer",
    "grantId": "grant",
    "routerId": "router",
    "packageId": "package",
    "code": "code",
    "phone": "phone",
    "mac": "mac",
    "receipt": "receipt",
    "search": "receipt",
    "idempotencyKey": "key",
}
# Fields that name nothing of a tenant's. `tenantId` has tests of its own; e-mail addresses are names at the door of
# the whole box, so that one can be taken by somebody of another tenant; a refresh token is a secret, not a name.
PLAIN = {
    "tenantId",
    "email",
    "password",
    "oldPassword",
    "newPassword",
    "refreshToken",
    "name",
    "role",
    "addedPermissions",
    "removedPermissions",
    "status",
    "permissions",
    "expiresAt",
    "limit",
    "cursor",
    "page",
    "pageSize",
    "amount",
    "method",
    "description",
    "type",
    "subType",
    "shortcode",
    "storeNumber",
    "accountNumber",
    "consumerKey",
    "consumerSecret",
    "passkey",
    "env",
    "forHotspot",
    "forPppoe",
    "note",
    "from",
    "to",
    "state",
    "over",
    "seconds",
    "minutes",
    "reason",
    "count",
    "expiresOn",
    "portal",
    "handled",
}
OPEN = {"logIn", "refreshLogin", "takeMpesaWebhook", "takeMpesaWebhookAtOldPath"}

_BODIES: dict[str, dict[str, Any]] = {
    "logIn": {"email": "nobody@east.example", "password": PASSWORD},
    "refreshLogin": {"refreshToken": "made up"},
    "changeMyPassword": {"oldPassword": PASSWORD, "newPassword": "another one 4Rw8 canary"},
    "makeMyToken": {"name": "books", "permissions": ["packages:view"]},
    "makeUser": {"name": "New", "email": "new@east.example", "password": PASSWORD, "role": "VIEWER"},
    "changeUser": {"name": "Changed"},
    "recordManualPayment": {"customerId": "{customer}", "amount": 5},
    "makePaymentGateway": {**GATEWAY, "shortcode": "600998", "name": "Second"},
    "changePaymentGateway": {"name": "Changed"},
    "assignPayment": {"phone": "{phone}", "packageId": "1h"},
    "refundPayment": {"note": "sent back by hand"},
    "extendGrant": {"minutes": 5, "reason": "the power was off"},
    "revokeGrant": {"reason": "asked for it"},
    "moveGrant": {"mac": "AA:BB:CC:00:00:41"},
    "makeVouchers": {"packageId": "1h", "count": 1},
    "closeProblem": {"note": "called them"},
}
_QUERIES = {"printVouchers": {"portal": "http://10.5.50.2"}}
# Which other fields may not stand beside the one that is tried.
_ALONE = {
    ("assignPayment", "code"): {"code"},
    ("assignPayment", "phone"): {"phone"},
    ("assignPayment", "mac"): {"phone", "mac"},
}


class Place(NamedTuple):
    """A place in a request where something is named.

    Args:
        where: `path`, `query` or `body`.
        name: Of the part or the field.
        kind: What is named there.
    """

    where: str
    name: str
    kind: str


@dataclass(frozen=True)
class Right:
    """A request that somebody who may do it may send."""

    operation: Operation
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None

    @property
    def sent(self) -> dict[str, Any]:
        """The query and the body, as they are asked with."""
        return {"params": self.query} | ({} if self.body is None else {"json": self.body})


def right(operation_id: str, ids: Mapping[str, str]) -> Right:
    """The right request to an operation about what those ids name."""
    told = OPERATIONS[operation_id]
    body = _BODIES[operation_id] if told.body is not None else None
    filled = None if body is None else {name: _filled(value, ids) for name, value in body.items()}
    kind = IN_PATHS[told.path][0] if IN_BRACES.search(told.path) else ""
    return Right(told, IN_BRACES.sub(lambda _: ids[kind], told.path), _QUERIES.get(operation_id, {}), filled)


def naming(request: Right, place: Place, value: str) -> Right:
    """The same request with something else named in a place."""
    told = request.operation
    if place.where == "path":
        return replace(request, path=IN_BRACES.sub(lambda _: value, told.path))
    if place.where == "query":
        return replace(request, query={**request.query, place.name: value})
    alone = _ALONE.get((told.operation_id, place.name), (request.body or {}).keys())
    kept = {name: each for name, each in (request.body or {}).items() if name in alone}
    return replace(request, body={**kept, place.name: value})


def places_of(told: Operation) -> Iterator[Place]:
    """All places of an operation's requests where something of a tenant's is named."""
    if IN_BRACES.search(told.path):
        yield from (Place("path", "", kind) for kind in IN_PATHS[told.path])
    for where, model in (("query", told.query), ("body", told.body)):
        if model is not None:
            fields = (each.alias or name for name, each in model.model_fields.items())
            yield from (Place(where, name, IN_FIELDS[name]) for name in fields if name not in PLAIN)


def absent(kind: str, value: str) -> str:
    """What looks like something of that kind, and is nothing."""
    looks_like = {
        "phone": "254799000222",
        "mac": "AA:BB:CC:00:00:99",
        "receipt": "SFZ99ZZZZ9",
        "problem": "problem-999",
        "declared": "nowhere",
        "batch": "NOSUCH",
        "code": "ABCDEF" + check_character("ABCDEF"),
    }
    return looks_like.get(kind) or value.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))


def _filled(value: Any, ids: Mapping[str, str]) -> Any:
    return value.format_map(ids) if isinstance(value, str) and value.startswith("{") else value
