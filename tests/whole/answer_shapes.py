"""Whether an answer is as was stated: what varies has a type or a pattern, and more fields may be there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"[0-9a-f]{32}")


class Each:
    """A list of at least one, each as stated."""

    def __init__(self, stated: Any) -> None:
        self.stated = stated


def filled(stated: Any, ids: Mapping[str, str]) -> Any:
    """The same with `{name}` in texts replaced by what is known under that name."""
    if isinstance(stated, str):
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], stated)
    if isinstance(stated, dict):
        return {name: filled(each, ids) for name, each in stated.items()}
    if isinstance(stated, list):
        return [filled(each, ids) for each in stated]
    return Each(filled(stated.stated, ids)) if isinstance(stated, Each) else stated


def differences(found: Any, stated: Any, where: str = "answer") -> list[str]:
    """Where what was found is not as stated.

    Args:
        found: JSON.
        stated: A value; a type it must have; a pattern; a dict of fields, among more; a list, each in its place.
        where: What is looked at.
    """
    if isinstance(stated, Each):
        return differences(found, [stated.stated] * (len(found) if isinstance(found, list) and found else 1), where)
    if isinstance(stated, dict) and isinstance(found, dict):
        missing = [f"{where} has no {name}" for name in stated if name not in found]
        both = [name for name in stated if name in found]
        return missing + [each for name in both for each in differences(found[name], stated[name], f"{where}.{name}")]
    if isinstance(stated, list) and isinstance(found, list) and len(found) == len(stated):
        pairs = enumerate(zip(found, stated, strict=True))
        return [each for at, pair in pairs for each in differences(*pair, f"{where}[{at}]")]
    return [] if _fits(found, stated) else [f"{where} is {found!r} and not {stated!r}"]


def _fits(found: Any, stated: Any) -> bool:
    if isinstance(stated, re.Pattern):
        return isinstance(found, str) and stated.fullmatch(found) is not None
    if stated is float:
        return isinstance(found, int | float) and not isinstance(found, bool)
    if isinstance(stated, type):
        return type(found) is stated
    return bool(found == stated) and isinstance(found, bool) == isinstance(stated, bool)
