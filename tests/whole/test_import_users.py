"""A shop that ran Mikhmon moves to this box: its users are taken over as they are, and nobody is put off."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.__main__ import main
from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.lab.mikrotik.console import ApiUser
from tests.whole.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.domain.grants import Grant
    from easyisp_edge.lab.mikrotik import MikrotikOptions

TERMS = ':put (",{mode},{price},{validity},{price},,Disable,"); {{:local date [ /system clock get date ]}}'
PROFILES = {
    "1-hour": ("remc", "10", "1h"),
    "1-day": ("rem", "50", "1d"),
    "old-day": ("ntf", "45", "1d"),
}
ONLINE = {f"run0{number}": f"AA:BB:CC:00:01:0{number}" for number in range(1, 4)}


class Shop(Stage):
    """A site whose router Mikhmon has kept so far."""

    sensitive = True

    def _router_options(self) -> MikrotikOptions:
        policies = {"read", "write", "api"} | ({"sensitive"} if self.sensitive else set())
        return replace(super()._router_options(), api_users=(ApiUser("edge", "s3cret", frozenset(policies)),))

    async def fill(self) -> None:
        """Thirty users as Mikhmon leaves them, three of them on."""
        now = datetime.now(UTC)
        for name, (mode, price, validity) in PROFILES.items():
            terms = TERMS.format(mode=mode, price=price, validity=validity)
            self.router.configuration.user_profiles.add({"name": name, "on-login": terms})
        for number in range(1, 11):
            ends = now + timedelta(hours=number)
            self.user(f"run{number:02}", "1-day", f"{ends:%Y-%m-%d %H:%M:%S}", used="10m")
        for number in range(1, 11):
            self.user(f"vc{number:02}", "1-hour", "vc-123-11.20.26-batch")
        self.user(
            "limited",
            "1-day",
            f"{now + timedelta(days=2):%b/%d/%Y %H:%M:%S}".lower(),
            used="1h",
            **{
                "limit-uptime": "3h",
                "limit-bytes-total": "1000000",
            },
        )
        self.user("locked", "1-day", "up-321-11.20.26-", **{"mac-address": "AA:BB:CC:00:02:01"})
        for number in range(1, 4):
            self.user(f"over{number:02}", "1-day", f"{now - timedelta(hours=number):%Y-%m-%d %H:%M:%S}", used="1h")
        self.user("noticed", "1-day", "2026-01-01 10:00:00 N", used="1h", **{"limit-uptime": "1s"})
        self.user("off", "1-hour", "vc-1-11.20.26-", disabled="yes")
        self.user("odd", "old-day", "vc-1-11.20.26-")
        self.user("owner", "default", "")
        self.user("started", "1-hour", "vc-1-11.20.26-", used="5m")
        for name, mac in ONLINE.items():
            self.router.connect_device(mac, f"10.5.50.1{name[-2:]}")
            await self.router.log_in(mac, name, name)

    def user(self, name: str, profile: str, comment: str, *, used: str = "0s", **fields: str) -> None:
        """A user with its name as password."""
        row = {"name": name, "password": name, "profile": profile, "comment": comment, **fields}
        octets = {"bytes-in": "100", "bytes-out": "200"} if used != "0s" else {}
        self.router.configuration.users.add(row, {"uptime": used, **octets})

    async def run_import(
        self, capsys: pytest.CaptureFixture[str], *arguments: str, source: str = "mikhmon"
    ) -> tuple[int, str, str]:
        """Run the command beside the daemon; its exit code and what it said."""
        asked = ["import", source, "--config", str(self.folder), "--router", "main", *arguments]
        capsys.readouterr()
        code = await asyncio.to_thread(main, asked)
        said = capsys.readouterr()
        return code, said.out, said.err

    def found(self, name: str) -> dict[str, str]:
        """A user as it stands on the router."""
        return next(row for row in self.router.users if row["name"] == name)

    def are_online(self) -> bool:
        """Whether nobody has been put off."""
        return all(self.router.is_online(mac) for mac in ONLINE.values())

    async def grant(self, name: str) -> Grant:
        """The grant of a user."""
        async with self.books() as (tables, _):
            grant = tables.grants.by_username(name)
            assert grant is not None
            return grant


@pytest.mark.parametrize("mode", ["hotspot-user", "radius"])
async def test_a_shop_moves_over(tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    """Shown first, then taken over once: names, passwords and what is left stay, and whoever is on stays on."""
    async with Shop(tmp_path, mode=mode) as shop:
        await shop.fill()
        sessions = {device.session_id for device in shop.router.active}
        before = shop.router.users
        code, out, err = await shop.run_import(capsys)
        assert code == 0, err
        assert "30 users: 22 to be taken over, 4 over, 1 disabled, 3 refused." in out
        assert "Nothing was changed." in out
        assert [{**row, ".id": ""} for row in shop.router.users] == [{**row, ".id": ""} for row in before]
        assert await shop.count("grants") == 0

        code, out, err = await shop.run_import(capsys, "--apply", "--json")
        assert code == 0, err
        assert len(json.loads(out)["taken"]) == 22
        await shop.until(lambda: _all_kept(shop, mode), seconds=10, what="the router kept by rounds")
        await asyncio.sleep(2.5)  # rounds go by, and change nothing
        assert shop.are_online()
        assert {device.session_id for device in shop.router.active} == sessions
        await _what_is_left_stays(shop)

        rows = await shop.count("grants")
        code, out, _ = await shop.run_import(capsys, "--apply")
        assert code == 0
        assert "\n0 users were taken over." in out
        assert await shop.count("grants") == rows == 22
        assert shop.found("owner")["profile"] == "default"


async def test_a_box_that_died_before_the_mark_was_put_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grant was committed and the router not told: started again, the box puts its mark on, and nobody goes off."""
    async with Shop(tmp_path) as shop:
        await shop.fill()
        assert (await shop.run_import(capsys, "--apply"))[0] == 0
        await shop.stop_daemon()
        for name in ONLINE:
            shop.router.configuration.users.change(shop.found(name)[".id"], {"comment": "2027-01-01 10:00:00"})
        await shop.start_daemon()
        marked = lambda: all(shop.found(name).get("comment", "").startswith("edge:") for name in ONLINE)  # noqa: E731
        await shop.until(marked, seconds=10, what="our marks")
        await asyncio.sleep(1.5)  # rounds go by
        assert shop.are_online()


def _all_kept(shop: Shop, mode: str) -> bool:
    ours = [row for row in shop.router.users if row.get("comment", "").startswith("edge:")]
    if mode == "radius":
        return not [row for row in ours if row["name"].startswith("vc")]
    return len(ours) == 22 and all(row["profile"].startswith("edge-") for row in ours)


async def _what_is_left_stays(shop: Shop) -> None:
    running, voucher, limited, locked = [await shop.grant(name) for name in ("run02", "vc01", "limited", "locked")]
    now = datetime.now(UTC)
    assert running.ends_at is not None
    assert abs((running.ends_at - now - timedelta(hours=2)).total_seconds()) < 60
    assert (running.password, running.funding, running.state) == ("run02", "imported", "running")
    assert 600 <= running.seconds_used < 660
    assert (voucher.state, voucher.seconds_left, voucher.mac) == ("waiting", 3600, None)
    assert str(locked.mac) == "AA:BB:CC:00:02:01"
    assert (limited.seconds_used, limited.octets_used) == (3600, 300)
    async with shop.books() as (tables, _):
        admission = tables.grants.admission("limited")
    assert admission is not None
    assert admission.seconds_left_at(now) == 2 * 3600
    assert admission.data_left is not None
    assert admission.data_left.octets == 1_000_000 - 300


async def test_a_voucher_goes_on_working(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs in with a printed voucher after the move has the time it was sold with, and no more."""
    async with Shop(tmp_path) as shop:
        await shop.fill()
        await shop.run_import(capsys, "--apply")
        await shop.until(lambda: _all_kept(shop, "hotspot-user"), seconds=10, what="the router kept by rounds")
        await shop.router.log_in("AA:BB:CC:00:00:01", "vc05", "vc05")
        assert (await shop.grant("vc05")).state == "waiting"
        await shop.until_online()

        async def runs() -> bool:
            return (await shop.grant("vc05")).state == "running"

        await shop.until(runs, seconds=5, what="the voucher's time")
        grant = await shop.grant("vc05")
        assert grant.ends_at is not None
        assert 3590 < (grant.ends_at - datetime.now(UTC)).total_seconds() <= 3600


async def test_hidden_passwords_are_said_to_be_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is taken over without passwords; with the router's export it is, with what the router counted."""
    hidden = Shop(tmp_path)
    hidden.sensitive = False
    async with hidden as shop:
        await shop.fill()
        code, _, err = await shop.run_import(capsys, "--apply")
        assert code == 1
        assert "show-sensitive" in err
        assert await shop.count("grants") == 0
        export = tmp_path / "users.rsc"
        lines = [f'add name={row["name"]} password="{row["name"]}"' for row in shop.router.users if "name" in row]
        export.write_text("# by RouterOS\n/ip hotspot user\n" + "\n".join(lines) + "\n")
        code, _, err = await shop.run_import(capsys, "--apply", "--file", str(export))
        assert code == 0, err
        assert (await shop.grant("limited")).password == "limited"
        assert (await shop.grant("limited")).seconds_used == 3600


async def test_a_wrong_clock_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ends by a clock in another zone than said would be hours off; unless somebody knows better."""
    async with Shop(tmp_path) as shop:
        await shop.fill()
        code, _, err = await shop.run_import(capsys, "--zone", "+03:00")
        assert code == 1
        assert "180 minutes apart" in err
        code, out, _ = await shop.run_import(capsys, "--zone", "+03:00", "--ignore-clock")
        assert code == 0
        assert "7 over" in out  # three of the ten that run, besides the four


async def test_schedulers_are_shown_and_switched_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that nobody needs any more, on demand; their comment stays, and others stay on."""
    async with Shop(tmp_path) as shop:
        await shop.fill()
        client = await _admin(shop)
        for fields in (
            {"name": "1-hour", "comment": "Monitor Profile 1-hour", "interval": "2m", "on-event": ":put 1"},
            {"name": "old-day", "comment": "Monitor Profile old-day", "interval": "2m", "on-event": ":put 1"},
            {"name": "vc03", "interval": "1h", "on-event": ":put 1"},
            {"name": "backup", "interval": "1d", "on-event": ":put 1"},
        ):
            await client.run("/system/scheduler/add", *(f"={name}={value}" for name, value in fields.items()))
        code, out, err = await shop.run_import(capsys)
        assert code == 0, err
        assert '/system scheduler disable [find name="vc03"]' in out
        assert "still ends 1 users" in out
        assert "backup" not in out
        code, out, err = await shop.run_import(capsys, "--apply", "--disable-schedulers", "--json")
        assert code == 0, err
        assert json.loads(out)["disabledSchedulers"] == ["vc03"]
        found = (await client.run("/system/scheduler/print")).rows
        assert {row["name"] for row in found if row["disabled"] == "true"} == {"vc03"}
        await client.close()


async def _admin(shop: Shop) -> Any:
    return await dial("127.0.0.1", shop.router.api_port, username="edge", password="s3cret")


async def test_what_was_taken_over_ends_when_it_would_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is used from then on is counted once, and at the old end the device is put off."""
    async with Shop(tmp_path) as shop:
        await shop.fill()
        await shop.run_import(capsys, "--apply")
        await shop.until(lambda: _all_kept(shop, "hotspot-user"), seconds=10, what="the router kept by rounds")
        shop.router.traffic(ONLINE["run03"], 1000, 2000)

        async def is_counted() -> bool:
            return (await shop.grant("run03")).octets_used == 300 + 3000

        await shop.until(is_counted, seconds=5, what="what was used since")
        shop.time.move(1.5 * 3600)
        mac = ONLINE["run01"]
        await shop.until(lambda: not shop.router.is_online(mac), seconds=5, what="the end of run01")
        assert (await shop.grant("run01")).state == "ended"
        assert shop.router.is_online(ONLINE["run02"])
        assert "run01" not in {row["name"] for row in shop.router.users}


@pytest.mark.parametrize("version", ["6.49.18", "7.9.2", "7.15.3", "7.24"])
async def test_users_made_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str) -> None:
    """Their own limits count, whatever Mikhmon would have made of them; on routers old and new."""
    async with Shop(tmp_path, routeros_version=version) as shop:
        await shop.fill()
        shop.user("guest", "default", "Mama Njeri", used="30m", **{"limit-uptime": "2h"})
        code, out, err = await shop.run_import(capsys, "--map", "default=1h", source="routeros")
        assert code == 0, err
        # Twelve have a date; of the vouchers nothing is known.
        assert "31 users: 12 to be taken over, 4 over, 1 disabled, 14 refused." in out
        code, out, err = await shop.run_import(capsys, "--map", "default=1h", "--apply", source="routeros")
        assert code == 0, err
        assert "12 users were taken over." in out
        guest = await shop.grant("guest")
        async with shop.books() as (tables, _):
            admission = tables.grants.admission("guest")
        assert admission is not None
        assert (guest.state, guest.seconds_left, admission.seconds_left_at(datetime.now(UTC))) == (
            "waiting",
            5400,
            5400,
        )
        await shop.until(lambda: "Mama" not in shop.found("guest")["comment"], seconds=5, what="our mark")
