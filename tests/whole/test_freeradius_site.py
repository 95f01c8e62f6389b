"""The whole site beside the real FreeRADIUS: what is bought lets on through it, what it notes is in the books."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from tests.fakes.freeradius_stage import MAIN, FreeradiusStage, credentials, freeradius
from tests.whole.stage import EDGE, MAC, OTHER_MAC, PHONE, RADIUS_SECRET, ROUTERS, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real_part("FreeRADIUS"), pytest.mark.timeout(120)]

ASKING = ROUTERS + 'server = "freeradius"\nmessage_authenticator = "if-present"\n'
WITHOUT_API = ASKING.replace(ASKING[ASKING.index("[router.api]") : ASKING.index("[router.radius]")], "")
THEIR_DATABASE = EDGE + '[freeradius]\ndatabase = "sqlite://{folder}/radius/radius.sqlite"\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FreeradiusStage]:
    """FreeRADIUS for the stage's router."""
    folder = tmp_path / "radius"
    folder.mkdir()
    for part in (folder, tmp_path, tmp_path.parent, tmp_path.parent.parent):
        part.chmod(0o755)
    address = SqliteAddress(folder / "radius.sqlite")
    routers = {"main": (MAIN, "default", "if-present")}
    with ExitStack() as stack:
        yield stack.enter_context(freeradius(folder, address, routers=routers, secret=RADIUS_SECRET))


@dataclass
class FreeradiusSite(Stage):
    """A site whose router asks FreeRADIUS."""

    server: FreeradiusStage | None = None

    def _choose_ports(self) -> None:
        super()._choose_ports()
        assert self.server is not None
        self._ports |= {"radius_auth_port": self.server.auth_port, "radius_acct_port": self.server.acct_port}

    async def bought(self) -> tuple[str, str]:
        """Buy and pay; gives the user name and password of what was bought."""
        await self.buy()
        await self.pay(PHONE)
        await self.until_granted()
        async with self.books() as (_, connection):
            username, password = connection.execute("SELECT username, password FROM grants").fetchone()
            return username, password

    async def until_granted(self) -> None:
        async def is_there() -> bool:
            return await self.count("grants") == 1

        await self.until(is_there, seconds=5, what="the grant")

    async def until_bounded(self, username: str) -> None:
        """Wait until FreeRADIUS knows the instant at which the login is over."""
        query = f"SELECT 1 FROM radcheck WHERE username = '{username}' AND attribute = 'Expiration'"  # noqa: S608

        async def is_so() -> bool:
            assert self.server is not None
            return bool(await asyncio.to_thread(self.server.sql, query))

        await self.until(is_so, seconds=5, what="the end of the login")

    async def until_counted(self, where: str) -> None:
        """Have what FreeRADIUS noted read back, until there is such a session in the books."""

        async def is_there() -> bool:
            self.daemon.parts.bells.freeradius.ring()
            return await self.count("sessions", where) == 1

        await self.until(is_there, seconds=10, what=f"a session where {where}")


def site(folder: Path, server: FreeradiusStage, routers: str = ASKING) -> FreeradiusSite:
    files = {"edge.toml": THEIR_DATABASE, "routers.toml": routers}
    return FreeradiusSite(folder, mode="radius", files=files, server=server)


async def login(server: FreeradiusStage, username: str, password: str, mac: str = MAC) -> Any:
    return (await server.ask(", ".join([*credentials(username, password), f'Calling-Station-Id = "{mac}"'])))[0]


async def test_what_is_bought_lets_on_until_it_is_over(tmp_path: Path, server: FreeradiusStage) -> None:
    """Paid, written, let on by FreeRADIUS, its sessions in the books; at the end put off, and let on no more."""
    async with site(tmp_path, server) as stage:
        assert stage.daemon.doors.radius is None
        username, password = await stage.bought()
        await stage.until_online(seconds=5)
        await stage.until_bounded(username)
        answer = await login(server, username, password)
        assert answer.accepted
        assert answer.attributes["Mikrotik-Rate-Limit"] == "2M/5M"
        assert 3500 < int(answer.attributes["Session-Timeout"]) <= 3601
        assert not (await login(server, username, password, OTHER_MAC)).accepted
        assert not (await login(server, username, "guess")).accepted
        await stage.until_counted(f"username = '{username}' AND stopped_at IS NULL AND grant_id IS NOT NULL")
        stage.time.move(3601)
        stage.daemon.parts.access.ended.ring()
        await stage.until(lambda: not stage.router.is_online(MAC), seconds=5, what=f"{MAC} offline")
        assert not (await login(server, username, password)).accepted
        await stage.until_counted(f"username = '{username}' AND stopped_at IS NOT NULL")
        assert await stage.count("grants", "state = 'ended'") == 1


async def test_without_api_the_time_begins_with_the_first_session(tmp_path: Path, server: FreeradiusStage) -> None:
    """All that is known of the router comes from FreeRADIUS; from then on the login is bounded by an instant."""
    async with site(tmp_path, server, WITHOUT_API) as stage:
        username, password = await stage.bought()

        async def accepted() -> bool:
            return bool((await login(server, username, password)).accepted)

        await stage.until(accepted, seconds=5, what="the login")
        assert await stage.count("grants", "started_at IS NULL") == 1
        of_session = f'User-Name = "{username}", Acct-Session-Id = 80000001, Calling-Station-Id = "{MAC}"'
        await server.report(f"{of_session}, Acct-Status-Type = Start")
        await stage.until_counted(f"username = '{username}' AND stopped_at IS NULL")
        assert await stage.count("grants", "started_at IS NOT NULL") == 1

        await stage.until_bounded(username)
        counted = "Acct-Session-Time = 60, Acct-Input-Octets = 5, Acct-Output-Octets = 7"
        await server.report(f"{of_session}, Acct-Status-Type = Stop, {counted}")
        await stage.until_counted("seconds = 60 AND octets_in = 5 AND octets_out = 7 AND stopped_at IS NOT NULL")


async def test_a_site_sells_on_while_their_database_is_away(tmp_path: Path, server: FreeradiusStage) -> None:
    """What was bought meanwhile lets on as soon as it is back."""
    (tmp_path / "elsewhere").mkdir()
    files = {"edge.toml": THEIR_DATABASE.replace("/radius/", "/elsewhere/"), "routers.toml": ASKING}
    async with FreeradiusSite(tmp_path, mode="radius", files=files, server=server) as stage:
        await stage.bought()
        assert not stage.router.is_online(MAC)
        (tmp_path / "elsewhere" / "radius.sqlite").symlink_to(tmp_path / "radius" / "radius.sqlite")
        stage.daemon.parts.bells.freeradius.ring()
        await stage.until_online(seconds=20)
