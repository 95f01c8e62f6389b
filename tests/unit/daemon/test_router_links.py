"""A configured router as a link: by which certificate it is known, and when that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.watch import RouterWatch
from easyisp_edge.config import load_config
from easyisp_edge.daemon.routers import router_link
from easyisp_edge.domain.routers import LinkState
from easyisp_edge.errors import UnavailableError
from easyisp_edge.timekeeping import BoxClock
from tests.fakes.certificates import pem_text, showing
from tests.fakes.clocks import ManualTime
from tests.fakes.scripted_routeros import DONE, ScriptedRouter

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.adapters.routeros.link import RouterLink


def linked(folder: Path, port: int, lines: str, watch: RouterWatch | None = None) -> RouterLink:
    (folder / "edge.toml").touch()
    (folder / "secret").write_text("s3cret")
    (folder / "secret").chmod(0o600)
    (folder / "routers.toml").write_text(
        '[[router]]\nid = "main"\naddress = "127.0.0.1"\nmode = "hotspot-user"\n'
        f'[router.api]\nport = {port}\nusername = "edge"\npassword_file = "secret"\n{lines}\n'
    )
    router = load_config(folder, {}).routers[0]
    assert router.api is not None
    return router_link(router, router.api, dial, watch)


async def code_of(link: RouterLink) -> str:
    with pytest.raises(UnavailableError) as unavailable:
        await link.run("/x", {})
    return unavailable.value.code


async def test_a_certificate_pinned_anew_counts_at_once(tmp_path: Path) -> None:
    """After a router was replaced no restart is needed: the file is read at each connection."""
    pinned = tmp_path / "router.pem"
    pinned.write_text(pem_text("other"))
    async with ScriptedRouter(lambda _: DONE, tls=showing("vouched")) as router:
        link = linked(tmp_path, router.port, 'certificate_file = "router.pem"')
        assert await code_of(link) == "router.wrong_certificate"
        assert router.logins == []
        pinned.write_text(pem_text("vouched"))
        await link.run("/x", {})
        assert router.logins == [["/login", "=name=edge", "=password=s3cret"]]
        await link.close()


@pytest.mark.parametrize("key", ["certificate_file", "ca_file"])
async def test_a_file_that_is_gone_lets_nobody_in(tmp_path: Path, key: str) -> None:
    """Without the certificate the router is not known, so it is told nothing; that is not the end of the daemon."""
    pinned = tmp_path / "router.pem"
    pinned.write_text(pem_text("other"))
    async with ScriptedRouter(lambda _: DONE, tls=showing("other")) as router:
        link = linked(tmp_path, router.port, f'{key} = "router.pem"')
        pinned.unlink()
        assert await code_of(link) == "router.certificate_unread"
        assert router.connections == 0


async def test_the_routers_own_ca_vouches_for_it(tmp_path: Path) -> None:
    """With ca_file the router's certificate is judged by that CA alone."""
    (tmp_path / "ca.pem").write_text(pem_text("authority"))
    async with ScriptedRouter(lambda _: DONE, tls=showing("vouched")) as router:
        link = linked(tmp_path, router.port, 'ca_file = "ca.pem"')
        await link.run("/x", {})
        await link.close()
    async with ScriptedRouter(lambda _: DONE, tls=showing("other")) as router:
        assert await code_of(linked(tmp_path, router.port, 'ca_file = "ca.pem"')) == "router.wrong_certificate"


async def test_a_link_tells_its_watch(tmp_path: Path) -> None:
    """What the daemon shows as a router's health is what its link met with."""
    watch = RouterWatch("main", BoxClock(ManualTime(), None))
    async with ScriptedRouter(lambda _: DONE) as router:
        link = linked(tmp_path, router.port, "tls = false", watch)
        await link.run("/x", {})
        states = [watch.health.state]
        await link.close()
    assert await code_of(link) == "router.unreachable"
    assert [*states, watch.health.state] == [LinkState.UP, LinkState.DOWN]
