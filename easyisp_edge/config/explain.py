"""Turns what pydantic found into words a technician can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import SecretStr

from easyisp_edge.config.models import CONDITION, ConfigModel
from easyisp_edge.config.problems import nearest
from easyisp_edge.config.secret_files import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from easyisp_edge.config.problems import Document, Findings
    from easyisp_edge.config.source_lines import Path

_KINDS = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false, without quotes",
    "float_type": "a number",
    "finite_number": "a number",
    "tuple_type": "a list in square brackets",
    "model_type": "a table",
}
_CHOICES = ("enum", "literal_error")


def explain(
    error: ValidationError,
    model: type[ConfigModel],
    document: Document,
    path: Path,
    findings: Findings,
    *,
    said: Collection[Path],
) -> None:
    """Note every fault of a table, save those whose path within it was `said` before."""
    for fault in error.errors(include_url=False):
        place: Path = fault["loc"]
        if fault["type"] == CONDITION:
            place = (*place, fault["ctx"]["key"])
        if place in said:
            continue
        field = _field_at(model, place)
        message, guess = _message(fault, model, (path, place), field)
        expected = (field.description if field else None) or ""
        findings.add(document, (*path, *place), message, expected=expected, nearest=guess)


def _message(
    fault: ErrorDetails, model: type[ConfigModel], at: tuple[Path, Path], field: FieldInfo | None
) -> tuple[str, str | None]:
    """What is wrong, and what was most likely meant; `at` is where the table is, and what is wrong within it."""
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "missing":
        return f"missing; expected {field.description if field and field.description else 'a value'}", None
    if kind == "extra_forbidden":
        return unknown_key(model, at[1], table=at[0])
    if kind in _CHOICES:
        return _no_choice(value, context["expected"])
    if kind in _KINDS:
        quoted = str(value) if kind == "string_type" and type(value) is int else None
        return f"{_shown(value)} is not {_KINDS[kind]}", quoted
    if (limit := _limit(context)) is not None:
        return f"{_shown(value)} is {limit}", None
    return context.get("message", fault["msg"]), context.get("nearest")


def unknown_key(model: type[ConfigModel], place: Path, *, table: Path = ()) -> tuple[str, str | None]:
    """What to say of a key there is not, and which was most likely meant or where it would be right."""
    keys, key = known_keys(_model_at(model, place[:-1]) or model), str(place[-1])
    unknown = f"unknown key; known are {', '.join(keys)}"
    if homes := list(_homes(model, place, ".".join(part for part in table if isinstance(part, str)))):
        return f"{unknown}; {key} belongs {' or '.join(homes)}", None
    return unknown, nearest(key, keys)


def _homes(model: type[ConfigModel], place: Path, table: str) -> Iterator[str]:
    """Where else in its table, or in a file that is one table, a key would be right."""
    *own, key = place
    prefix = f"{table}." if table else ""
    if own and key in known_keys(model):
        yield f"above [{prefix}{own[0]}]"
    for name in model.model_fields:
        inner = _model_at(model, (name,))
        if inner is not None and [name] != own and key in known_keys(inner):
            yield f"under [{prefix}{name}]"


def _no_choice(value: object, expected: str) -> tuple[str, str | None]:
    choices = re.findall(r"'([^']*)'", expected)
    guess = nearest(value, choices) if isinstance(value, str) else None
    return f"{_shown(value)} is not one of {', '.join(choices)}", guess


def _limit(context: dict[str, Any]) -> str | None:
    wordings: dict[str, Callable[[Any], str]] = {
        "ge": lambda least: f"too small; at least {least}",
        "le": lambda most: f"too large; at most {most}",
    }
    return next((wording(context[key]) for key, wording in wordings.items() if key in context), None)


def _shown(value: object) -> str:
    """A value as it stands in the file, if it is short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)[:40]
    if isinstance(value, str):
        return f'"{value:.40}"'
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "a date or time"


def known_keys(model: type[ConfigModel]) -> list[str]:
    """The keys a technician may write: for secrets the one that names a file."""
    return [
        key + SUFFIX if field.annotation is SecretStr else key
        for key, field in model.model_fields.items()
        if key not in model.READER_KEYS
    ]


def _field_at(model: type[ConfigModel], place: Path) -> FieldInfo | None:
    if not place:
        return None
    keys = [part for part in place if isinstance(part, str)]  # an item of a list is described by its list
    holder = _model_at(model, tuple(keys[:-1]))
    return holder.model_fields.get(keys[-1]) if holder else None


def _model_at(model: type[ConfigModel], place: Path) -> type[ConfigModel] | None:
    """The model of the table at a place within a model's table."""
    for part in place:
        field = model.model_fields.get(str(part))
        inner = next(filter(_is_model, (field.annotation, *get_args(field.annotation))), None) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, ConfigModel)
