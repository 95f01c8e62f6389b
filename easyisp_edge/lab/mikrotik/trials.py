"""Trial logins: a while without a name, counted by MAC and given anew after a span.

Source: RouterOS manual, HotSpot (server profile, trial-uptime-limit and trial-uptime-reset).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.errors import TrapError
from easyisp_edge.lab.mikrotik.local_users import profile_entitlement
from easyisp_edge.lab.mikrotik.value_formats import parse_duration

if TYPE_CHECKING:
    from easyisp_edge.lab.mikrotik.configuration import Configuration
    from easyisp_edge.lab.mikrotik.sessions import Entitlement, Host


def trial_user(mac: str) -> str:
    """The name a device's trial runs under."""
    return f"T-{mac}"


@dataclass(slots=True)
class _Trial:
    """What a device used of its trial, and since when it counts; both in seconds."""

    used: float
    since: float


class Trials:
    """The trials of one hotspot."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._used: dict[str, _Trial] = {}

    def seconds_left(self, host: Host, now: float) -> float:
        """What is left of the device's trial; 0 where the server's profile gives none."""
        if "trial" not in self._profile(host, "login-by").split(","):
            return 0.0
        trial = self._current(host, now)
        return max(0.0, parse_duration(self._profile(host, "trial-uptime-limit")) - (trial.used if trial else 0.0))

    def entitlement(self, host: Host, now: float) -> Entitlement:
        """What a trial that begins now may use.

        Raises:
            TrapError: Nothing is left of it.
        """
        left = self.seconds_left(host, now)
        if left <= 0:
            raise TrapError(f"user {trial_user(host.mac)} has reached uptime limit")
        if self._current(host, now) is None:
            self._used[host.mac] = _Trial(0.0, now)
        profile = self._configuration.user_profiles.named(self._profile(host, "trial-user-profile"))
        given = profile_entitlement(self._configuration, profile)
        return replace(given, session_timeout=min(left, given.session_timeout or left), mac_cookie_seconds=None)

    def count(self, mac: str, seconds: float, now: float) -> None:
        """Add a trial session that ended."""
        self._used.setdefault(mac, _Trial(0.0, now)).used += seconds

    def _current(self, host: Host, now: float) -> _Trial | None:
        trial = self._used.get(host.mac)
        if trial is None or now - trial.since >= parse_duration(self._profile(host, "trial-uptime-reset")):
            return None
        return trial

    def _profile(self, host: Host, name: str) -> str:
        servers, profiles = self._configuration.servers, self._configuration.server_profiles
        profile = profiles.named(servers.value(host.server, "profile"))
        return profiles.value(profile, name) if profile else ""
