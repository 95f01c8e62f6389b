"""Why a device is not let on, as its router shows it."""

from __future__ import annotations

import ast
import inspect
from datetime import UTC, datetime, timedelta

import pytest

from easyisp_edge.portal_files import portal_folder
from easyisp_edge.services.access import logins
from easyisp_edge.services.access.logins import Refusal
from easyisp_edge.web.texts import Texts

TEXTS = Texts.load(portal_folder() / "translations")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # Monday noon in Kenya


def refusal_keys() -> set[str]:
    """Every key that the service refuses with, read from its source."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(logins))) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == Refusal.__name__]
    words = [word.value for call in made for word in ast.walk(call.args[0]) if isinstance(word, ast.Constant)]
    return {word for word in words if isinstance(word, str)}


def test_all_refusals_were_found() -> None:
    """The list below is of what there is."""
    assert refusal_keys() == {
        "unknown_user", "wrong_password", "locked", "data_up", "time_up", "other_place", "other_device", "not_now",
        "devices_full", "after_other", "paused",
    }  # fmt: skip


@pytest.mark.parametrize("key", sorted(refusal_keys()))
@pytest.mark.parametrize("language", ["en", "sw"])
def test_each_refusal_has_words(language: str, key: str) -> None:
    """In both languages, with nothing left to be filled in, and short enough for a reply."""
    words = TEXTS.refusal(language, Refusal(key, NOW), NOW)
    assert not words.startswith("rejects.")
    assert "{" not in words
    assert len(words.encode()) <= 253


@pytest.mark.parametrize(
    ("ahead", "said"), [(timedelta(hours=10), "22:00"), (timedelta(days=1), "tomorrow"), (timedelta(days=4), "Fri")]
)
def test_when_it_opens_is_said_as_people_say_it(ahead: timedelta, said: str) -> None:
    """The hour today, the day as well where it is another."""
    assert said in TEXTS.refusal("en", Refusal("not_now", NOW + ahead), NOW)
