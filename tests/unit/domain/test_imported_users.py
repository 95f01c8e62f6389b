"""What is left of a user that somebody else sold: exactly what it had, or a reason, never a guess."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from easyisp_edge.domain.imported_users import ExpiryMode, Left, LegacyUser, MikhmonTerms, Outcome, Skipped, left_of
from easyisp_edge.domain.user_usage import Used

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PLAIN = LegacyUser(
    name="kofi",
    password="7731",
    server="all",
    profile="1d",
    mac=None,
    comment="",
    ends_at=None,
    limit_seconds=None,
    limit_octets=None,
    used=Used(),
)
VOUCHER = replace(PLAIN, comment="vc-123-11.20.26-batch")
EXPIRING = [ExpiryMode.REMOVE, ExpiryMode.NOTICE, ExpiryMode.REMOVE_AND_RECORD, ExpiryMode.NOTICE_AND_RECORD]


def terms(mode: ExpiryMode = ExpiryMode.REMOVE, validity: timedelta | None = DAY) -> MikhmonTerms:
    """Of a profile."""
    return MikhmonTerms(mode, validity, (), locks=False)


def outcome(user: LegacyUser, of: MikhmonTerms | None = None) -> tuple[Outcome, str]:
    """That it is skipped, and why."""
    found = left_of(user, of, NOW)
    assert isinstance(found, Skipped), found
    return found.outcome, found.reason


@pytest.mark.parametrize("mode", EXPIRING)
@pytest.mark.parametrize("comment", ["vc-123-11.20.26-batch", "up-1-11.20.26-", ""])
def test_a_voucher_nobody_used_has_its_whole_time(mode: ExpiryMode, comment: str) -> None:
    """In every mode in which Mikhmon ends users."""
    assert left_of(replace(PLAIN, comment=comment), terms(mode), NOW) == Left(None, 86400, None, None)


@pytest.mark.parametrize("mode", EXPIRING)
def test_what_runs_ends_when_it_would_have_ended(mode: ExpiryMode) -> None:
    """By the clock, with the time online and data left that go with it."""
    user = replace(
        PLAIN, comment="2026-11-23 13:00:00", ends_at=NOW + HOUR, limit_seconds=7200, limit_octets=1000,
        used=Used(600, 10, 20), under_way=Used(300, 1, 2),
    )  # fmt: skip
    assert left_of(user, terms(mode), NOW) == Left(NOW + HOUR, None, 7200 - 900, 1000 - 33)


def test_what_never_ends_has_its_limits() -> None:
    """In the mode without an end Mikhmon writes none: only time online and data count."""
    limited = replace(VOUCHER, limit_seconds=3600, used=Used(600))
    assert left_of(limited, terms(ExpiryMode.NEVER, None), NOW) == Left(None, None, 3000, None)
    assert outcome(VOUCHER, terms(ExpiryMode.NEVER, None))[0] is Outcome.REFUSED


def test_without_mikhmon_only_its_own_limits_count() -> None:
    """A voucher's comment says nothing where nobody keeps vouchers so."""
    assert left_of(replace(VOUCHER, limit_octets=500), None, NOW) == Left(None, None, None, 500)
    assert "Nothing says when it ends" in outcome(VOUCHER)[1]


def test_mikhmon_leaves_users_with_other_comments_alone() -> None:
    """It never writes an end for them, so its validity does not count either."""
    named = replace(PLAIN, comment="Mama Njeri", limit_seconds=3600)
    assert left_of(named, terms(), NOW) == Left(None, None, 3600, None)
    assert outcome(replace(named, limit_seconds=None), terms())[0] is Outcome.REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"ends_at": NOW},
        {"ends_at": NOW - HOUR},
        {"limit_seconds": 1},
        {"limit_seconds": 1, "used": None},
        {"limit_seconds": 600, "used": Used(600)},
        {"limit_seconds": 600, "used": Used(300), "under_way": Used(300)},
        {"limit_octets": 100, "used": Used(0, 60, 40)},
    ],
)
def test_what_is_used_up_is_over(changes: dict[str, Any]) -> None:
    """By the clock, online, by data; or cut off by Mikhmon, which sets the limit to a second."""
    assert outcome(replace(PLAIN, **changes), terms())[0] is Outcome.OVER


def test_a_disabled_user_is_left_alone() -> None:
    """Taken over it could be used again."""
    assert outcome(replace(VOUCHER, disabled=True), terms())[0] is Outcome.DISABLED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fault": "It is odd."}, "It is odd."),
        ({"used": Used(60)}, "has not written down when it ends"),
        ({"under_way": Used(300)}, "has not written down when it ends"),
        ({"under_way": Used(5)}, "try again soon"),
        ({"under_way": Used(5), "ends_at": NOW + DAY}, "try again soon"),
    ],
)
def test_what_cannot_be_told_is_refused(changes: dict[str, Any], words: str) -> None:
    """With words: a voucher that was used and has no end, or whose end is just being written."""
    found = outcome(replace(VOUCHER, **changes), terms())
    assert found[0] is Outcome.REFUSED
    assert words in found[1]


def test_a_validity_that_cannot_be_read_is_refused() -> None:
    """There is no package to guess it from."""
    assert "cannot be read" in outcome(VOUCHER, terms(validity=None))[1]


def test_a_user_of_its_own_scheduler_goes_on_as_it_is() -> None:
    """Version 2 leaves the comment as it was; its end is known all the same."""
    user = replace(VOUCHER, ends_at=NOW + DAY, used=Used(600), under_way=Used(120))
    assert left_of(user, terms(), NOW) == Left(NOW + DAY, None, None, None)


def test_an_export_does_not_say_what_was_used() -> None:
    """So a limit in it says nothing, but for a voucher whose comment shows that nobody ever used it."""
    limited = replace(VOUCHER, used=None, limit_seconds=3600)
    assert left_of(limited, terms(), NOW) == Left(None, 86400, 3600, None)
    for changes in ({"ends_at": NOW + DAY}, {"comment": "Mama Njeri"}):
        assert "read the router itself" in outcome(replace(limited, **changes), terms())[1]
    assert "read the router itself" in outcome(limited, None)[1]
    assert left_of(replace(PLAIN, used=None, ends_at=NOW + DAY), terms(), NOW) == Left(NOW + DAY, None, None, None)


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (Left(NOW + timedelta(seconds=90.5), None, None, None), 91),
        (Left(None, 7200, None, None), 7200),
        (Left(None, 7200, 9000, None), 7200),
        (Left(None, None, 1800, None), 3600),
        (Left(None, None, 9000, None), 9000),
        (Left(None, None, None, 10), 3600),
    ],
)
def test_seconds_left_by_the_clock(left: Left, seconds: int) -> None:
    """To its end, rounded up; from its next login its validity, or else its package's, never less than online."""
    assert left.seconds_at(NOW, HOUR) == seconds
