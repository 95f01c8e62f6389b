"""The way to a router as the whole daemon keeps it: by its certificate, with its health told to the owner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.fakes.certificates import pem, pem_text
from tests.whole.stage import HOST, MAC, ROUTERS, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.lab.mikrotik import MikrotikOptions

PINNED = ROUTERS.replace("tls = false\nport = {api_port}", 'certificate_file = "router.pem"\nport = {api_ssl_port}')


@dataclass
class PinnedStage(Stage):
    """A site whose router's certificate, dated by a clock in 1970, is pinned."""

    def _router_options(self) -> MikrotikOptions:
        shown = pem("signed_in_1970")
        return replace(super()._router_options(), certificate=(shown, shown))

    def pin(self, name: str) -> None:
        (self.folder / "router.pem").write_text(pem_text(name))

    async def health(self) -> dict[str, Any]:
        """What the owner's door says of the router."""
        async with self.http.get(f"http://{HOST}:{self.ports['admin_port']}/health") as answer:
            content: dict[str, Any] = await answer.json()
            return dict(content["routers"]["main"])

    async def is_up(self) -> bool:
        return bool((await self.health())["state"] == "up")

    async def has_error(self, code: str) -> bool:
        return str((await self.health())["last_error"]).startswith(f"{code}: ")


def pinned_stage(folder: Path) -> PinnedStage:
    stage = PinnedStage(folder, files={"routers.toml": PINNED})
    stage.pin("signed_in_1970")
    return stage


async def test_a_customer_is_let_on_over_a_pinned_connection(tmp_path: Path) -> None:
    """The whole way works over api-ssl, though the router's certificate has run out by any clock."""
    async with pinned_stage(tmp_path) as stage:
        await stage.buy()
        await stage.pay()
        await stage.until_online()


async def test_the_owner_sees_how_a_router_is_and_customers_do_not(tmp_path: Path) -> None:
    """What the router is stands at the owner's door; nothing of it at the customers'."""
    async with pinned_stage(tmp_path) as stage:
        await stage.until(stage.is_up, seconds=10, what="the router's health")
        health = await stage.health()
        assert health["connected_since"].endswith("+00:00")
        assert {key: health[key] for key in ("identity", "version", "last_error")} == {
            "identity": "MikroTik",
            "version": "7.20.8",
            "last_error": None,
        }
        status, page = await stage.get("/", router="main", mac=MAC)
        assert status == 200
        assert not [word for word in ("7.20.8", "MikroTik") if word in page]
        assert (await stage.get("/health"))[0] == 404


async def test_another_certificate_keeps_the_box_away_until_it_is_pinned(tmp_path: Path) -> None:
    """A router that was replaced is told nothing until a person says that it is the one; then it needs no restart."""
    async with pinned_stage(tmp_path) as stage:
        await stage.until(stage.is_up, seconds=10, what="the router's health")
        await stage.router.install_certificate(pem("other"), pem("other"))
        await stage.router.unreachable()
        await stage.router.reachable()
        await stage.until(lambda: stage.has_error("router.wrong_certificate"), seconds=20, what="the refusal")
        stage.pin("other")
        await stage.until(stage.is_up, seconds=20, what="the router's health")
