"""What a grant is in radcheck, radreply, radusergroup and radgroupreply.

Source: FreeRADIUS 3.2, rlm_sql (operators, and how values are read), rlm_expiration, rlm_sqlcounter.
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.adapters.freeradius.errors import UnwritableError
from easyisp_edge.adapters.radius.dictionary import OCTETS_MAX, SESSION_SECONDS_MAX, WORD_MAX
from easyisp_edge.domain.packages import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from easyisp_edge.domain.login_database import WantedLogin
    from easyisp_edge.domain.values import DataVolume

# What begins so is ours: a group's name, and the Class of a user in it.
GROUP_MARK = "edge-"
CLASS_MARK = "edge:"

_VALUE_MAX = 253
_NAME_MAX = 64
_SPEED_MAX = 45
_PLAIN_VALUE = re.compile(r"[ -~]+", re.ASCII)
_EXPANDED = re.compile(r"[`\\]|%\{|^['\"]|^\s|\s$|^0x", re.ASCII)
# Other characters in a user name reach the database as =2F and the like, and so never match.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9@._:/-]+", re.ASCII)


class Row(NamedTuple):
    """An attribute with its operator; of whom, the table says."""

    attribute: str
    op: str
    value: str


class UserRows(NamedTuple):
    """All that stands of one user, in the order of the rows' numbers."""

    check: tuple[Row, ...]
    reply: tuple[Row, ...]
    groups: tuple[str, ...]

    @property
    def bears_our_mark(self) -> bool:
        """Whether its Class says that it stands for a grant."""
        return any(row.attribute == "Class" and row.value.startswith(CLASS_MARK) for row in self.reply)


class GroupRows(NamedTuple):
    """What all users of a group are told."""

    name: str
    reply: tuple[Row, ...]


def checked(value: str, what: str = "value") -> str:
    """The value, if FreeRADIUS takes it for itself.

    A value in backquotes would be run as a program, one in double quotes or with `%{` expanded, and a backslash would
    take what follows for something else.

    Raises:
        UnwritableError: It does not.
    """
    if value.isascii() and value.isalnum() and value[:2] != "0x" and len(value) <= _VALUE_MAX:
        return value  # nearly all are
    if _PLAIN_VALUE.fullmatch(value) is None or _EXPANDED.search(value) or len(value) > _VALUE_MAX:
        raise UnwritableError("freeradius.unwritable", f"The {what} {value!r:.40} cannot be written for FreeRADIUS.")
    return value


def checked_name(name: str, what: str = "user name") -> str:
    """The name of a user or a group, if FreeRADIUS finds it by that.

    Raises:
        UnwritableError: It does not.
    """
    if _PLAIN_NAME.fullmatch(name) is None or len(name) > _NAME_MAX:
        raise UnwritableError("freeradius.unwritable", f"The {what} {name!r:.40} cannot be written for FreeRADIUS.")
    return name


def group_rows(wanted: WantedLogin) -> GroupRows:
    """The group of a login: what it shares with all others of its speed. The name says all that is in it.

    Raises:
        UnwritableError: A value cannot be written.
    """
    return _group_rows(str(wanted.rate_limit), wanted.devices_max, wanted.interim_seconds)


@lru_cache(maxsize=64)
def _group_rows(rate: str, devices_max: int, interim_seconds: int) -> GroupRows:
    speed = rate.replace("/", "-").replace(" ", "_")
    if len(speed) > _SPEED_MAX:
        # A burst may take more than a name holds.
        speed = f"{speed.partition('_')[0]}_{hashlib.sha256(rate.encode()).hexdigest()[:16]}"
    name = f"{GROUP_MARK}{speed}-x{devices_max}-i{interim_seconds}"
    reply = (
        Row("Mikrotik-Rate-Limit", ":=", rate),
        Row("Port-Limit", ":=", str(devices_max)),
        Row("Acct-Interim-Interval", ":=", str(interim_seconds)),
        # Where nothing shorter is said: Expiration alone would give a year of seconds.
        Row("Session-Timeout", "=", str(SESSION_SECONDS_MAX)),
    )
    return GroupRows(checked_name(name, "group"), _checked(reply))


def user_rows(wanted: WantedLogin) -> UserRows:
    """The rows of a login.

    Raises:
        UnwritableError: A value cannot be written; whoever it is for cannot be let on this way.
    """
    checked_name(wanted.username)
    return UserRows(_checked(_check(wanted)), _checked(_reply(wanted)), (group_rows(wanted).name,))


def _check(wanted: WantedLogin) -> Iterator[Row]:
    yield Row("Cleartext-Password", ":=", wanted.password)
    if wanted.expires_at is not None:
        yield Row("Expiration", ":=", str(math.ceil(wanted.expires_at.timestamp())))
    if wanted.online_seconds is not None:
        yield Row("Max-All-Session", ":=", str(wanted.online_seconds))
    if wanted.data_limit is not None:
        yield Row("Edge-Data-Limit", ":=", str(min(wanted.data_limit.octets, OCTETS_MAX)))
    yield Row("Simultaneous-Use", ":=", str(wanted.devices_max))
    if wanted.mac is not None and wanted.devices_max == 1:
        yield Row("Calling-Station-Id", "==", wanted.mac.text)
    # With !* the attribute must not be there at all, whatever is given as its value.
    yield Row("Framed-Protocol", "==" if wanted.service is Service.PPPOE else "!*", "PPP")
    if wanted.tenant_id is not None:
        yield Row("Edge-Tenant", "==", wanted.tenant_id)
    if wanted.router_ids:
        # An id has nothing in it that would mean something in a pattern.
        ids = "|".join(checked_name(router_id, "router id") for router_id in wanted.router_ids)
        yield Row("Edge-Router", "=~", f"^({ids})$")


def _reply(wanted: WantedLogin) -> Iterator[Row]:
    yield Row("Class", ":=", CLASS_MARK + wanted.grant_id)
    if wanted.session_seconds is not None:
        yield Row("Session-Timeout", ":=", str(min(max(wanted.session_seconds, 1), SESSION_SECONDS_MAX)))
    if wanted.data_left is not None:
        yield from _total_limit(wanted.data_left)


def _total_limit(volume: DataVolume) -> Iterator[Row]:
    octets = min(volume.octets, OCTETS_MAX)
    # Whether a router takes a low word of nought for "no limit" is not documented: one octet more avoids it.
    yield Row("Mikrotik-Total-Limit", ":=", str(octets & WORD_MAX or 1))
    if octets > WORD_MAX:
        yield Row("Mikrotik-Total-Limit-Gigawords", ":=", str(octets >> 32))


def _checked(rows: tuple[Row, ...] | Iterator[Row]) -> tuple[Row, ...]:
    found = tuple(rows)
    for row in found:
        checked(row.value, row.attribute)
    return found
