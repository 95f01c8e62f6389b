"""A plan as people and programs read it; no secret is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from easyisp_edge.adapters.routeros.setup.rows import Change, SetupPlan, Trap

_SHOWN_MOST = 60


def plan_text(plan: SetupPlan) -> str:
    """The whole plan, a line for each thing."""
    return "".join(f"{line}\n" for line in _lines(plan))


def plan_json(plan: SetupPlan) -> dict[str, Any]:
    """The whole plan for programs."""
    return {
        "nothingToDo": plan.is_empty,
        "stopped": plan.stopped,
        "traps": [
            {"code": trap.code, "words": trap.words, "command": trap.command, "stops": trap.stops}
            for trap in plan.traps
        ],
        "changes": [_change_json(change) for change in plan.changes],
        "leftovers": [{"menu": leftover.menu, **leftover.key} for leftover in plan.leftovers],
        "leftAlone": list(plan.left_alone),
    }


def _lines(plan: SetupPlan) -> Iterator[str]:
    for trap in plan.traps:
        yield from _trap_lines(trap)
    for change in plan.changes:
        yield from _change_lines(change)
    for leftover in plan.leftovers:
        yield f"- {leftover.menu} {_shown(leftover.key)}: taken away once all is confirmed"
    for words in plan.left_alone:
        yield f"left alone: {words}"
    adding = sum(change.verb == "add" for change in plan.changes)
    if plan.is_empty:
        yield "nothing to do"
    else:
        yield f"{adding} to add, {len(plan.changes) - adding} to set, {len(plan.leftovers)} to take away"


def _trap_lines(trap: Trap) -> Iterator[str]:
    yield f"{'STOP' if trap.stops else 'warning'}: {trap.words}"
    if trap.command is not None:
        yield f"    {trap.command}"


def _change_lines(change: Change) -> Iterator[str]:
    row = change.row
    if change.verb == "add":
        hidden = dict.fromkeys(row.secrets, "(not shown)")
        yield f"+ {row.menu} {_shown({**row.key, **row.when_new, **row.values, **hidden})}  ({row.why})"
        return
    yield f"~ {row.menu} {_shown(row.key)}  ({row.why})".replace("  (", " (", 1)
    for name, value in row.values.items():
        yield f"    {name}: {_short(change.before.get(name, ''))} -> {_short(value)}"


def _change_json(change: Change) -> dict[str, Any]:
    row = change.row
    new = {**row.when_new, **row.values} if change.verb == "add" else dict(row.values)
    return {
        "verb": change.verb,
        "menu": row.menu,
        "key": dict(row.key),
        "before": dict(change.before),
        "after": {name: value for name, value in new.items() if name != "contents"},
        "secrets": sorted(row.secrets) if change.verb == "add" else [],
        "why": row.why,
    }


def _shown(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(text: str) -> str:
    if not text:
        return "(nothing)"
    if "\n" in text or len(text) > _SHOWN_MOST:
        return f"({len(text.encode())} octets)"
    return f'"{text}"' if " " in text else text
