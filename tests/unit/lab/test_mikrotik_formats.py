from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.mikrotik import MikrotikOptions
from easyisp_edge.lab.mikrotik import value_formats as vf
from easyisp_edge.lab.mikrotik.command_tree import CommandTree
from easyisp_edge.lab.mikrotik.errors import RefusalError
from easyisp_edge.lab.mikrotik.queries import matches

if TYPE_CHECKING:
    from collections.abc import Callable

ROW = {".id": "*1", "name": "kofi", "disabled": "false", "limit-uptime": "1h30m", "bytes-in": "500", "comment": "x"}


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1h", "1h"),
        ("1:00:00", "1h"),
        ("24:00:00", "1d"),
        ("3600", "1h"),
        ("1d", "1d"),
        ("00:05:32", "5m32s"),
        ("1d02:03:04", "1d2h3m4s"),
        ("1w2d3h4m5s", "1w2d3h4m5s"),
        ("250ms", "250ms"),
        ("90m", "1h30m"),
        ("0s", "0s"),
        ("0", "0s"),
    ],
)
def test_durations_come_back_in_normal_form(text: str, normal: str) -> None:
    """Whatever spelling is sent, one spelling is shown."""
    assert vf.duration_text(text) == normal


@given(st.integers(0, 10**9))
def test_durations_survive_printing(milliseconds: int) -> None:
    """The normal form reads back as the same span."""
    seconds = milliseconds / 1000
    assert vf.parse_duration(vf.format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("normal", "text"),
    [
        (vf.duration_text, ""),
        (vf.duration_text, "1x"),
        (vf.duration_text, "-5"),
        (vf.duration_text, "1:99:00"),
        (vf.boolean_text, "maybe"),
        (vf.mac_text, "12:34"),
        (vf.address_text, "10.0.0.256"),
        (vf.rate_limit_text, "2M/"),
        (vf.rate_limit_text, "fast"),
        (vf.ports_text, "http"),
        (vf.network_text, "10.0.0.0/33"),
        (vf.some_of("a", "b"), "a,c"),
        (vf.one_of("a"), "b"),
        (vf.integer_between(1, 5), "6"),
        (vf.filled_text, ""),
    ],
)
def test_what_does_not_parse_is_an_error(normal: Callable[[str], str], text: str) -> None:
    """A value outside a field's grammar is never taken."""
    with pytest.raises(ValueError):
        normal(text)


@pytest.mark.parametrize(
    "text", ["2M/5M", "128k/512k", "1M", "512k/2M 1M/4M 384k/1536k 10/10 8 256k/512k", "512k/2M 1M/4M 384k/1536k 10"]
)
def test_rate_limits_of_the_grammar_are_taken(text: str) -> None:
    """Rates, bursts, thresholds, times, priority and minimum, each part optional from the end."""
    assert vf.rate_limit_text(text) == text


def test_one_rate_stands_for_both_ways() -> None:
    """K is a thousand, M a million, and a missing second figure equals the first."""
    assert vf.parse_rates("512k 1M") == (512_000, 512_000)
    assert vf.parse_rates("2M/5M") == (2_000_000, 5_000_000)


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("XX:XX:XX:XX:XX:XX", "34:12:F9:8A:21:4C"),
        ("XX-XX-XX-XX-XX-XX", "34-12-F9-8A-21-4C"),
        ("XXXXXX-XXXXXX", "3412F9-8A214C"),
        ("XXXXXXXXXXXX", "3412F98A214C"),
        ("XXXX:XXXX:XXXX", "3412:F98A:214C"),
    ],
)
def test_radius_mac_formats(form: str, shown: str) -> None:
    """The digits stand where the format has its X."""
    assert vf.mac_in_form("34:12:F9:8A:21:4C", form) == shown


@pytest.mark.parametrize(
    ("queries", "found"),
    [
        (["?name=kofi"], True),
        (["?=name=kofi"], True),
        (["?name=ama"], False),
        (["?name"], True),
        (["?-name"], False),
        (["?-password"], True),
        (["?disabled=no"], True),
        (["?disabled=yes"], False),
        (["?<bytes-in=1000"], True),
        (["?>bytes-in=1000"], False),
        (["?>limit-uptime=1h"], True),
        (["?>comment="], True),
        (["?>email="], False),
        (["?name=kofi", "?disabled=yes"], False),
        (["?name=ama", "?name=kofi", "?#|"], True),
        (["?name=ama", "?#!"], True),
        (["?name=kofi", "?disabled=yes", "?#!&"], True),
        (["?name=ama", "?disabled=yes", "?#!", "?#&"], False),
        (["?disabled=yes", "?name=kofi", "?#&!"], True),
        (["?name=kofi", "?#.&"], True),
        (["?name=kofi", "?name=ama", "?#1|!|"], True),
        (["?.id=ether1"], False),
    ],
)
def test_queries_are_a_stack(queries: list[str], *, found: bool) -> None:
    """Tests push, `?#` operates on the top, and all that is left must hold."""
    assert matches(queries, ROW) is found


@pytest.mark.parametrize("queries", [["?#&"], ["?name=kofi", "?#x"], ["?#"], ["?name=kofi", "?#3"]])
def test_operations_without_operands_are_refused(queries: list[str]) -> None:
    """A query that cannot be carried out is refused, not taken as no."""
    with pytest.raises(RefusalError, match="invalid query"):
        matches(queries, ROW)


def test_arguments_belong_to_versions() -> None:
    """An argument is taken from the version that brought it on, and not before."""
    old, new = CommandTree("7.20.8"), CommandTree("7.24")
    assert new.checked("/ip/hotspot/user/add", ["name", "otp-secret"]) == ("/ip/hotspot/user", "add")
    with pytest.raises(RefusalError, match="unknown parameter otp-secret"):
        old.checked("/ip/hotspot/user/add", ["name", "otp-secret"])
    with pytest.raises(RefusalError, match="unknown parameter require-message-auth"):
        CommandTree("7.12.2").checked("/radius/add", ["require-message-auth"])


@pytest.mark.parametrize("version", ["6.42", "7.25", "seven", "7"])
def test_versions_outside_the_list_are_not_played(version: str) -> None:
    """A version whose commands are not known is refused at the start."""
    with pytest.raises(InvalidError):
        CommandTree(version)


def test_a_packet_is_sent_at_least_once() -> None:
    """No tries at all is no RADIUS client."""
    with pytest.raises(InvalidError):
        MikrotikOptions(radius_tries=0)
