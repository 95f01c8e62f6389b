"""What all models of the back office share: camelCase on the wire, amounts in shillings, times with their zone."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from easyisp_edge.domain.paging import Page, Position
from easyisp_edge.domain.values import Money
from easyisp_edge.errors import InvalidError

T = TypeVar("T")

# No single payment comes near it, and no sum of a lifetime's leaves what JSON numbers hold.
_SHILLINGS_MOST = 10_000_000
LIMIT_MAX = 200


class ApiModel(BaseModel):
    """What comes in or goes out: frozen, by its camelCase names; what is unknown is passed over, as it always was."""

    # Built when first needed: a box that nobody looks after by HTTP has no memory for it.
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        arbitrary_types_allowed=True,
        defer_build=True,
        json_schema_serialization_defaults_required=True,  # what goes out is always all there
    )


def _money(value: Any) -> Money:
    if isinstance(value, Money):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _SHILLINGS_MOST:
        raise PydanticCustomError("shillings", "must be an amount in shillings, such as 50 or 50.5")
    try:
        return Money.parse(value)
    except InvalidError as error:
        raise PydanticCustomError("shillings", "{message}", {"message": error.message}) from None


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Shillings = Annotated[
    Money,
    BeforeValidator(_money),
    PlainSerializer(Money.as_json, return_type=int | float),
    # No `multipleOf`: in the arithmetic of most who check it, 0.07 is no multiple of 0.01.
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _SHILLINGS_MOST, "examples": [50, 50.5]}),
]
"""An amount, as a whole or two-decimal number of shillings on the wire."""

SumOfShillings = Annotated[
    Money, PlainSerializer(Money.as_json, return_type=int | float), WithJsonSchema({"type": "number", "minimum": 0})
]
"""A sum of amounts, going out only."""

Instant = Annotated[
    datetime, PlainSerializer(_instant, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""A moment, aware; UTC on the wire."""

# One line of plain text: nothing in it changes what a log, a terminal or a spreadsheet shows.
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Key = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _left_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


# Pages send the fields they leave empty, too.
MaybeLine = Annotated[Line | None, BeforeValidator(_left_empty)]
MaybeKey = Annotated[Key | None, BeforeValidator(_left_empty)]


class CursorQuery(ApiModel):
    """Which page of a list: from its beginning, or from where the page before it ended."""

    limit: int = Field(default=50, ge=1, le=LIMIT_MAX, description="How many rows at most.")
    cursor: str | None = Field(default=None, max_length=200, description="`nextCursor` of the page before.")

    @property
    def after(self) -> Position | None:
        """Where the page before ended.

        Raises:
            InvalidError: It is no cursor of ours.
        """
        return None if self.cursor is None else read_cursor(self.cursor)


class Listed(ApiModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Give it as `cursor` for the next page; null at the end.")


def next_cursor(page: Page[Any]) -> str | None:
    """Where the next page begins, as text for whoever asks for it."""
    if page.next is None:
        return None
    return urlsafe_b64encode(f"{_instant(page.next.at)} {page.next.key}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Position:
    """A position from its text.

    Raises:
        InvalidError: It is none that `next_cursor` gave.
    """
    try:
        at, _, key = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        moment = datetime.fromisoformat(at)
        position = Position(moment.astimezone(UTC), key)
    except (ValueError, OverflowError) as error:  # also where it is no base64, no UTF-8, or at the end of time
        raise no_cursor() from error
    if not key or moment.tzinfo is None:
        raise no_cursor()
    return position


def no_cursor() -> InvalidError:
    """Why a cursor is refused that no page of the list gave."""
    return InvalidError("cursor.unreadable", "Give `nextCursor` of the page before, or leave it out.", field="cursor")
