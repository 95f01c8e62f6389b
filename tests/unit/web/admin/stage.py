"""The back office's door in tests: whom it knows, and asking it for something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.domain.permissions import Role, permissions_of
from easyisp_edge.domain.users import Caller
from easyisp_edge.errors import UnauthenticatedError

if TYPE_CHECKING:
    from aiohttp.test_utils import TestClient


class Keys:
    """A gatekeeper with a caller a role, whose token is the role's name; `:b` makes him another tenant's."""

    async def caller_of(self, token: str) -> Caller:
        role, _, tenant = token.partition(":")
        if role not in set(Role):
            raise UnauthenticatedError("token.unknown", "Log in again.")
        tenant_id = {"": "default", "b": "b", "all": None}[tenant]
        return Caller("u1", f"{token}@x.ke", tenant_id, Role(role), permissions_of(Role(role)))


async def asked(
    client: TestClient[Any, Any],
    method: str,
    path: str,
    expect: int,
    *,
    as_: str = "ADMIN",
    **more: Any,
) -> dict[str, Any]:
    """What a request leads to, as JSON."""
    headers = {"Authorization": f"Bearer {as_}"}
    async with client.request(method, path, headers=headers, **more) as answer:
        content: dict[str, Any] = await answer.json(content_type=None)
        assert answer.status == expect, content
        if expect >= 400 and "code" in content:
            assert answer.content_type == "application/problem+json"
        return content
