"""The hotspot of one MikroTik: our profiles and users, who is logged in, who is seen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from easyisp_edge.adapters.routeros import rows
from easyisp_edge.adapters.routeros.durations import duration_text
from easyisp_edge.domain.routers import PROFILE_MARK, DevicesSeen, RouterState
from easyisp_edge.errors import ConflictError, InvalidError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from easyisp_edge.adapters.routeros.link import RouterLink
    from easyisp_edge.domain.routers import (
        ActiveSession,
        FoundUser,
        HotspotCookie,
        HotspotHost,
        UserProfile,
        WantedUser,
    )
    from easyisp_edge.domain.values import MacAddress

T = TypeVar("T")

ANY_MAC = "00:00:00:00:00:00"
_COUNT_MAX = 2**64 - 1
ROWS_AT_A_STRETCH = 200  # so many are made into values before others are served

_PROFILES = "/ip/hotspot/user/profile"
_USERS = "/ip/hotspot/user"
_ACTIVE = "/ip/hotspot/active"
_HOSTS = "/ip/hotspot/host"
_COOKIES = "/ip/hotspot/cookie"
_BINDINGS = "/ip/hotspot/ip-binding"

# What the router says, without the `failure: ` that some menus and versions put in front.
_GONE = "no such item"
_TAKEN = "already have"
_NOT_YET = {
    "unknown host ip": "router.device_unseen",
    "already authorizing": "router.device_authorizing",
    "radius server is not responding": "router.radius_silent",
}
# What a login is refused for, by what the router says; anything else is `router.refused`.
_REFUSED = {
    "no more sessions are allowed": "router.devices_full",
    "has reached uptime limit": "router.time_up",
    "has reached traffic limit": "router.data_up",
    "not allowed to log in from this mac": "router.other_device",
    "this mac address is not yours": "router.other_device",
    "session limit reached": "router.licence_full",
    "invalid username or password": "router.unknown_user",
}


class MikrotikHotspot:
    """Reads and sets what is ours on a router's hotspot; what does not carry our mark is never touched.

    Writes only add or set: a user removed and added again would lose its counters and so get its time twice.
    All calls raise `UnavailableError` when the router gives no answer in time, and `RefusedError` with the
    router's own words when it says no.

    Args:
        link: The way to the router.
        hotspot_server: The hotspot server our users may log in to; `all` for any.
        mark: How the comment of each user of ours begins. It ends in a delimiter, so that no other word
            begins with it.
    """

    def __init__(self, link: RouterLink, *, hotspot_server: str, mark: str) -> None:
        if not mark:
            raise InvalidError("router.mark_missing", "Without a mark every user would be ours.")
        self._link = link
        self._hotspot_server = hotspot_server
        self._mark = mark

    async def observe(self) -> RouterState:
        """Read what stands on the router: our profiles and users, all active sessions and hosts.

        A profile of ours whose speed or number of devices cannot be read is left out, so that it is set anew.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot menus.
        """
        profiles = await self._read(_PROFILES, rows.PROFILE_FIELDS, self._our_profile)
        # Users before who is on: a session that ends in between is then in neither, and never counted twice.
        users = await self._read(_USERS, rows.USER_FIELDS, self._our_user)
        active, hosts = await self.observe_devices()
        return RouterState(
            profiles={profile.name: profile for profile in profiles},
            users={user.name: user for user in users},
            active=active,
            hosts=hosts,
        )

    async def observe_devices(self) -> DevicesSeen:
        """Read who is on and who is seen: all active sessions and hosts.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/active and /ip/hotspot/host.
        """
        active = await self._read(_ACTIVE, rows.ACTIVE_FIELDS, _active)
        hosts = await self._read(_HOSTS, rows.HOST_FIELDS, _host)
        return DevicesSeen(tuple(active), tuple(hosts))

    async def users_named(self, names: Collection[str]) -> dict[str, FoundUser]:
        """Read our users of those names, one question each; by name, those without our mark left out.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/user.
        """
        found: dict[str, FoundUser] = {}
        for name in names:
            users = await self._read(_USERS, rows.USER_FIELDS, self._our_user, {"name": name})
            found |= {user.name: user for user in users}
        return found

    async def sessions_by(
        self, *, users: Collection[str] = (), macs: Collection[MacAddress] = ()
    ) -> tuple[ActiveSession, ...]:
        """Read the active sessions of those users and those devices, one question each.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/active.
        """
        asked = [{"user": user} for user in users] + [{"mac-address": str(mac)} for mac in macs]
        found: dict[str, ActiveSession] = {}
        for where in asked:
            sessions = await self._read(_ACTIVE, rows.ACTIVE_FIELDS, _active, where)
            found |= {session.item_id: session for session in sessions}
        return tuple(found.values())

    async def hosts_of(self, macs: Collection[MacAddress]) -> tuple[HotspotHost, ...]:
        """Read those devices of those the hotspot sees, one question each.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/host.
        """
        found: list[HotspotHost] = []
        for mac in macs:
            found += await self._read(_HOSTS, rows.HOST_FIELDS, _host, {"mac-address": str(mac)})
        return tuple(found)

    async def cookies(self) -> tuple[HotspotCookie, ...]:
        """Read all logins that the router remembers for devices, whoever's they are.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/cookie.
        """
        return tuple(await self._read(_COOKIES, rows.COOKIE_FIELDS, _cookie))

    async def remove_cookie(self, item_id: str) -> None:
        """Forget a remembered login; gone already is fine.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/cookie.
        """
        await self._remove(_COOKIES, item_id)

    async def forget_device(self, user: str, mac: MacAddress | None) -> None:
        """Forget what the router remembers of a device's login as that user; nothing to forget is fine.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/cookie.
        """
        where = {"user": user} if mac is None else {"user": user, "mac-address": str(mac)}
        for cookie in await self._read(_COOKIES, rows.COOKIE_FIELDS, _cookie, where):
            await self._remove(_COOKIES, cookie.item_id)

    async def our_bindings(self) -> tuple[str, ...]:
        """Read the ids of the bindings that carry our mark; all others are the owner's.

        Raises:
            UnavailableError: No answer in time, or one that cannot be read.
            RefusedError: The router does not let us read.

        Source: RouterOS, /ip/hotspot/ip-binding.
        """
        return tuple(await self._read(_BINDINGS, rows.BINDING_FIELDS, self._our_binding))

    async def remove_binding(self, item_id: str) -> None:
        """Take a binding of ours away; gone already is fine.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/ip-binding.
        """
        await self._remove(_BINDINGS, item_id)

    async def put_profile(self, profile: UserProfile) -> None:
        """Make or set a user profile of ours; sessions under way keep the speed they began with.

        Raises:
            InvalidError: The name does not begin with `edge-`.
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/user/profile.
        """
        if not profile.name.startswith(PROFILE_MARK):
            raise InvalidError("router.unmarked", f"The user profile {profile.name!r} is not ours: no {PROFILE_MARK}.")
        if await self._set_profile(profile):
            return
        try:
            await self._link.run(f"{_PROFILES}/add", _profile_arguments(profile))
        except RefusedError as error:
            # A lost answer to an earlier add, or another hand at the same time.
            if not (_says(error, _TAKEN) and await self._set_profile(profile)):
                raise

    async def put_user(self, user: WantedUser, found: FoundUser | None) -> None:
        """Make a user of ours, or set the one found; its counters stay.

        Its limits are what its row has counted so far, as found, and what is left.

        Raises:
            InvalidError: Either of the two does not carry our mark.
            UnavailableError: No answer in time.
            RefusedError: The router said no, or a user of that name is not ours.

        Source: RouterOS, /ip/hotspot/user.
        """
        self._require_mark(user.comment)
        if found is not None:
            self._require_mark(found.comment)
            if await self._set_user(user, found):
                return
        try:
            await self._link.run(f"{_USERS}/add", self._user_arguments(user))
        except RefusedError as error:
            if not _says(error, _TAKEN):
                raise
            await self._set_user_standing(user)

    async def remove_user(self, found: FoundUser) -> None:
        """Take a user of ours away, with its cookies; gone already is fine. A session of it goes on.

        Raises:
            InvalidError: It does not carry our mark.
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/user and /ip/hotspot/cookie.
        """
        self._require_mark(found.comment)
        await self._remove(_USERS, found.item_id)
        # After it: what is remembered before could be anew, and a device come straight back.
        await self.forget_device(found.name, None)

    async def login(self, *, username: str, password: str, mac: MacAddress, address: str) -> None:
        """Log a device in as though it had sent the login form; already in is fine.

        Raises:
            UnavailableError: No answer in time.
            ConflictError: Not at this moment: the device is not seen yet (`router.device_unseen`), a login of it
                is under way (`router.device_authorizing`), or the router's RADIUS server is silent
                (`router.radius_silent`).
            RefusedError: The router said no; the message is the router's, the code says what it means:
                `router.devices_full` where as many devices as it allows are on by that user, and so on.

        Source: RouterOS, /ip/hotspot/active login; its errors.txt.
        """
        arguments = {"user": username, "password": password, "ip": address, "mac-address": str(mac)}
        given = {name: value for name, value in arguments.items() if value}
        try:
            await self._link.run(f"{_ACTIVE}/login", given)
        except RefusedError as error:
            if await self._is_in(username, mac):
                return
            raise _login_error(error) from error

    async def logout(self, item_id: str) -> None:
        """End an active session; gone already is fine.

        Raises:
            UnavailableError: No answer in time.
            RefusedError: The router said no.

        Source: RouterOS, /ip/hotspot/active.
        """
        await self._remove(_ACTIVE, item_id)

    async def _read(
        self,
        menu: str,
        fields: Sequence[str],
        parse: Callable[[rows.Row], T | None],
        where: Mapping[str, str] | None = None,
    ) -> list[T]:
        """Read rows into values, those left out that `parse` gives None for; a whole table holds nobody up."""
        values: list[T] = []
        trouble: list[Exception] = []

        def take(row: rows.Row) -> None:
            try:
                value = None if trouble else parse(row)
            except (InvalidError, KeyError) as error:
                trouble.append(error)
            else:
                if value is not None:
                    values.append(value)

        await self._link.read_each(menu, fields, take, where)
        if trouble:
            raise UnavailableError(
                "router.unreadable", f"The router's answer cannot be read: {trouble[0]}."
            ) from trouble[0]
        return values

    @staticmethod
    def _our_profile(row: rows.Row) -> UserProfile | None:
        return rows.profile_of(row) if row.get("name", "").startswith(PROFILE_MARK) else None

    def _our_user(self, row: rows.Row) -> FoundUser | None:
        return rows.user_of(row) if self._is_ours(row.get("comment", "")) else None

    def _our_binding(self, row: rows.Row) -> str | None:
        return row[".id"] if self._is_ours(row.get("comment", "")) else None

    def _is_ours(self, comment: str) -> bool:
        return comment.startswith(self._mark)

    def _require_mark(self, comment: str) -> None:
        if not self._is_ours(comment):
            raise InvalidError(
                "router.unmarked",
                f"A hotspot user with the comment {comment!r:.40} is not ours.",
            )

    async def _set_profile(self, profile: UserProfile) -> bool:
        for row in await self._link.read(_PROFILES, (".id", "name"), where={"name": profile.name}):
            return await self._set(_PROFILES, row[".id"], _profile_arguments(profile))
        return False

    async def _set_user(self, user: WantedUser, found: FoundUser) -> bool:
        counted = found.octets_in + found.octets_out
        arguments = self._user_arguments(user, uptime_seconds=found.uptime_seconds, octets=counted)
        return await self._set(_USERS, found.item_id, arguments)

    async def _set_user_standing(self, user: WantedUser) -> None:
        """Set the user whose name kept ours from being added, if it is ours too."""
        found = await self._link.read(_USERS, (*rows.USER_FIELDS, "server"), where={"name": user.name})
        same_server = [row for row in found if row.get("server", "all") == self._hotspot_server]
        for row in same_server or found:
            if not self._is_ours(row.get("comment", "")):
                raise RefusedError(
                    "router.user_not_ours",
                    f"The router has a hotspot user {user.name!r} that is not ours; it stays as it is.",
                )
            if await self._set_user(user, rows.user_of(row)):
                return
        raise UnavailableError("router.changing", f"The hotspot user {user.name!r} came and went; try again.")

    def _user_arguments(self, user: WantedUser, *, uptime_seconds: int = 0, octets: int = 0) -> dict[str, str]:
        return {
            "name": user.name,
            "password": user.password,
            "profile": user.profile,
            "server": self._hotspot_server,
            "mac-address": ANY_MAC if user.mac is None else str(user.mac),
            "limit-uptime": _limit_text(uptime_seconds + max(0, user.uptime_left_seconds)),
            "limit-bytes-total": _octets_text(octets, user.octets_left),
            "comment": user.comment,
            "disabled": "no",
        }

    async def _is_in(self, username: str, mac: MacAddress) -> bool:
        active = await self._link.read(_ACTIVE, ("user", "mac-address"), where={"mac-address": str(mac)})
        return any(row.get("user") == username for row in active)

    async def _set(self, menu: str, item_id: str, arguments: dict[str, str]) -> bool:
        """Set a row; False when it is gone."""
        try:
            await self._link.run(f"{menu}/set", {".id": item_id, **arguments})
        except RefusedError as error:
            if _says(error, _GONE):
                return False
            raise
        return True

    async def _remove(self, menu: str, item_id: str) -> None:
        try:
            await self._link.run(f"{menu}/remove", {".id": item_id})
        except RefusedError as error:
            if not _says(error, _GONE):
                raise


def _active(row: rows.Row) -> ActiveSession | None:
    return rows.active_of(row) if row else None


def _host(row: rows.Row) -> HotspotHost | None:
    return rows.host_of(row) if "mac-address" in row else None


def _cookie(row: rows.Row) -> HotspotCookie | None:
    return rows.cookie_of(row) if row else None


def _profile_arguments(profile: UserProfile) -> dict[str, str]:
    # The router counts from its own side: received from the device first, which is the device's upload.
    rate_limit = str(profile.rate_limit)
    return {"name": profile.name, "rate-limit": rate_limit, "shared-users": str(profile.shared_users)}


def _limit_text(seconds: int) -> str:
    # To the router 0 means no limit at all.
    return duration_text(timedelta(seconds=max(1, seconds)))


def _octets_text(counted: int, left: int | None) -> str:
    # The same here, so that it takes off an old limit where there is to be none.
    return "0" if left is None else str(min(max(1, counted + max(0, left)), _COUNT_MAX))


def _says(error: RefusedError, text: str) -> bool:
    return text in error.message.lower()


def _login_error(error: RefusedError) -> RefusedError | ConflictError:
    for text, code in _NOT_YET.items():
        if _says(error, text):
            return ConflictError(code, f"The router cannot log the device in yet: {error.message}.")
    code = next((code for text, code in _REFUSED.items() if _says(error, text)), error.code)
    return RefusedError(code, error.message)
