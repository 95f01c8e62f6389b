"""RouterOS versions: which is newer, and which have holes that are publicly known."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from easyisp_edge.errors import InvalidError

# `7.20.8`, `7.23rc1`, and as a router says it: `6.49.18 (long-term)`.
_WRITTEN = re.compile(
    r"([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?(?:(alpha|beta|rc)([0-9]{1,3}))?(?: \([a-z-]+\))?", re.ASCII
)


class Stage(enum.IntEnum):
    """How finished a version is."""

    ALPHA = 0
    BETA = 1
    RC = 2
    RELEASE = 3


@dataclass(frozen=True, slots=True, order=True)
class RouterVersion:
    """A version; ordered by age, so that 7.9.2 < 7.20 and 7.23rc1 < 7.23 < 7.23.1.

    Args:
        major: 6 or 7.
        minor: The branch.
        patch: The fix within it; 0 for the first.
        stage: How finished it is.
        number: Of the alpha, beta or release candidate; 0 for a release.
    """

    major: int
    minor: int
    patch: int = 0
    stage: Stage = Stage.RELEASE
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> RouterVersion:
        """Read one as people or routers write it, with or without its channel.

        Raises:
            InvalidError: It is no version.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise InvalidError("router.version", f'"{text:.40}" is no RouterOS version such as 7.20.8')
        major, minor, patch, stage, number = found.groups()
        return cls(
            int(major), int(minor), int(patch or 0), Stage[stage.upper()] if stage else Stage.RELEASE, int(number or 0)
        )

    def __str__(self) -> str:
        patch = f".{self.patch}" if self.patch else ""
        stage = "" if self.stage is Stage.RELEASE else f"{self.stage.name.lower()}{self.number}"
        return f"{self.major}.{self.minor}{patch}{stage}"


@dataclass(frozen=True, slots=True)
class _Hole:
    """One in the versions from `since` until it was mended in `mended`."""

    since: RouterVersion
    mended: RouterVersion
    words: str


_FIRST_REST = RouterVersion(7, 1)
_HOLES = (
    _Hole(_FIRST_REST, RouterVersion(7, 12), "the REST API answers addresses that its service excludes"),
    _Hole(RouterVersion(7, 0), RouterVersion(7, 19, 2), "a link can put a foreign script on the hotspot's login page"),
    _Hole(_FIRST_REST, RouterVersion(7, 20, 1), "the REST API can be made to run foreign code"),
)
# The first version of each branch with everything mended by September 2026; older branches were left behind.
_SAFE_V6 = RouterVersion(6, 49, 21)
_SAFE_V7 = (RouterVersion(7, 23, 4), RouterVersion(7, 24, 2), RouterVersion(7, 25, 0, Stage.BETA, 3))
_LATE_HOLES = "the security fixes of September 2026 are missing"


def safe_version(version: RouterVersion) -> RouterVersion:
    """The oldest one without known holes in a version's branch, or in the next branch that has one.

    Source: MikroTik, security announcements until September 2026.
    """
    if version.major < _SAFE_V7[0].major:
        return _SAFE_V6
    branch = (version.major, version.minor)
    return next((safe for safe in _SAFE_V7 if branch <= (safe.major, safe.minor)), _SAFE_V7[-1])


def known_holes(version: RouterVersion) -> tuple[str, ...]:
    """What is known to be open in a version, in words, the oldest first; empty where nothing is.

    Source: CVE-2023-41570, CVE-2025-6563, CVE-2025-10948; MikroTik, security announcements until September 2026.
    """
    if version >= safe_version(version):
        return ()
    old = tuple(hole.words for hole in _HOLES if hole.since <= version < hole.mended)
    return (*old, _LATE_HOLES)
