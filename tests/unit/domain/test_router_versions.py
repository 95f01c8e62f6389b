from __future__ import annotations

from itertools import pairwise

import pytest

from easyisp_edge.domain.router_versions import RouterVersion, known_holes, safe_version
from easyisp_edge.errors import InvalidError

BY_AGE = (
    *("6.43", "6.49.18", "6.49.21", "7.1beta6", "7.1rc2", "7.1", "7.9.2", "7.12", "7.19.1", "7.19.2", "7.20", "7.20.1"),
    *("7.23alpha1", "7.23beta2", "7.23rc1", "7.23rc12", "7.23", "7.23.1", "7.23.4", "7.24", "7.24.2", "7.25beta3"),
    "7.100",
)


def test_versions_are_ordered_by_age() -> None:
    """Each number counts as a number, and what leads to a release comes before it."""
    versions = [RouterVersion.parse(text) for text in BY_AGE]
    assert all(older < newer for older, newer in pairwise(versions))


@pytest.mark.parametrize("text", BY_AGE)
def test_a_version_is_written_as_it_is_read(text: str) -> None:
    """What is read comes out again, whatever channel the router says it is from."""
    assert str(RouterVersion.parse(text)) == text
    assert RouterVersion.parse(f"{text} (long-term)") == RouterVersion.parse(f" {text} ")


@pytest.mark.parametrize("text", ["", "7", "7.", "7.20.", "v7.20", "7.20.8.1", "7.20 stable", "7.²", "7.20gamma1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """Nothing is guessed from half of a version."""
    with pytest.raises(InvalidError):
        RouterVersion.parse(text)


@pytest.mark.parametrize(
    ("text", "safe", "holes"),
    [
        ("6.49.20", "6.49.21", 1),
        ("6.49.21", "6.49.21", 0),
        ("7.9.2", "7.23.4", 4),
        ("7.12", "7.23.4", 3),
        ("7.19.2", "7.23.4", 2),
        ("7.20.1", "7.23.4", 1),
        ("7.23.3", "7.23.4", 1),
        ("7.23.4", "7.23.4", 0),
        ("7.24", "7.24.2", 1),
        ("7.24.2", "7.24.2", 0),
        ("7.25beta2", "7.25beta3", 1),
        ("7.25rc1", "7.25beta3", 0),
        ("7.26beta1", "7.25beta3", 0),
        ("8.0", "7.25beta3", 0),
    ],
)
def test_holes_are_known_by_branch(text: str, safe: str, holes: int) -> None:
    """Each branch has its own first safe version, and an older one has all holes that were mended since."""
    version = RouterVersion.parse(text)
    assert str(safe_version(version)) == safe
    assert len(known_holes(version)) == holes
