"""What went wrong, as a problem document with a stable code, and with the fields that older front ends read.

Source: RFC 9457.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import ConfigDict, Field

from easyisp_edge.errors import InvalidError, UnavailableError
from easyisp_edge.web.admin.models import ApiModel

if TYPE_CHECKING:
    from pydantic import ValidationError

    from easyisp_edge.errors import EdgeError

PROBLEM_TYPE = "application/problem+json"
# What the library says in the words of programs. All patterns here ask for the same.
_WORDS = {"string_pattern_mismatch": "must be one line of plain text"}


class Fault(ApiModel):
    """One thing that is wrong with the input."""

    field: str = Field(description="Which field, with dots between levels.")
    message: str


class Problem(ApiModel):
    """Why something was not done."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)  # null is left out here

    type: str = Field(description="`urn:easyisp-edge:problem:` and the code.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What is wrong and what to do, for people.")
    code: str = Field(description="What is wrong, for programs; it never changes.")
    message: str = Field(description="The same as `detail`.")
    error: str = Field(description="The same as `detail`.")
    status_code: int = Field(description="The same as `status`.")
    field: str | None = Field(default=None, description="The input field at fault, where one is.")
    details: list[Fault] | None = Field(default=None, description="All that is wrong with the input.")


class InvalidInputError(InvalidError):
    """Input that breaks the operation's model, in one place or several.

    Args:
        faults: Where and how; at least one.
    """

    def __init__(self, faults: list[Fault]) -> None:
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__("request.invalid", f"{where}{first.message}{more}", field=first.field or None)
        self.faults = faults

    @classmethod
    def of(cls, error: ValidationError) -> InvalidInputError:
        """What pydantic found, without repeating what was sent."""
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = ((each["loc"], _WORDS.get(each["type"], each["msg"])) for each in found)
        return cls([Fault(field=".".join(map(str, place)), message=message) for place, message in told])


def problem(_request: web.Request, status: int, error: EdgeError) -> web.Response:
    """The answer for a failure."""
    faults = error.faults if isinstance(error, InvalidInputError) else None
    told = Problem(
        type=f"urn:easyisp-edge:problem:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        code=error.code,
        message=error.message,
        error=error.message,
        status_code=status,
        field=error.field if isinstance(error, InvalidError) else None,
        details=faults,
    )
    content = {**_plain(error.values), **told.model_dump(by_alias=True, exclude_none=True)}
    return web.json_response(content, status=status, content_type=PROBLEM_TYPE, headers=_headers(status, error))


def _plain(values: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float | bool | None)}


def _headers(status: int, error: EdgeError) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnavailableError) and error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    return headers
