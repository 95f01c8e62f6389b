"""What a script is made of once it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it stands."""

    value: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A quoted text with variables in it."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """Two values and what stands between them, or `!` before one."""

    sign: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """`[:len …]` and its like."""

    name: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Field:
    """A field's name within the conditions of a `find`; alone it asks whether the flag is set."""

    name: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the console.

    Args:
        menu: Its menu, such as `/ip/hotspot`.
        verb: Such as `set` or `find`.
        arguments: By name.
        where: For `find`: which rows; None for all.
    """

    menu: str
    verb: str
    arguments: tuple[tuple[str, Expression], ...] = ()
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """`:local`, `:global` or `:set`; without a value, `:global` names one that stands already."""

    kind: str
    name: str
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Condition:
    """`:if`."""

    holds: Expression
    then: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class Attempt:
    """`:do`; without `on_error` an error goes on."""

    block: Block
    on_error: Block | None


@dataclass(frozen=True, slots=True)
class Loop:
    """`:foreach`."""

    name: str
    items: Expression
    block: Block


@dataclass(frozen=True, slots=True)
class Telling:
    """`:log`, `:put`, `:error`, `:delay`: one value given to one of them; `topic` is the log's."""

    kind: str
    value: Expression
    topic: str = ""


Expression: TypeAlias = "Literal | Variable | Joined | Operation | Function | Field | Command"
Statement: TypeAlias = "Command | Assignment | Condition | Attempt | Loop | Telling"
Block: TypeAlias = "tuple[Statement, ...]"
