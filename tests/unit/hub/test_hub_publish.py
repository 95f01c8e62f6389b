from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from nacl.signing import VerifyKey

from easyisp_edge.__main__ import main
from easyisp_edge.commands.hub_publish import read_published
from easyisp_edge.domain.sync import Lane, configuration_signed
from easyisp_edge.errors import InvalidError, NotFoundError
from tests.fakes.hub_stage import Box, enrolled_box, parts_of, write_config
from tests.unit.hub.test_hub_schemas import check

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.hub.hub import Hub

PACKAGE = {"id": "day", "name": "A day", "price": 50, "duration": "24h", "speed": "5M"}
GATEWAY = {"id": "main", "tenant": "cafe", "sub_type": "PAYBILL", "shortcode": "600100"}
CANARY = "c4n4ry-of-a-passkey"


async def messages(box: Box, after: int = 0) -> list[dict[str, Any]]:
    said = await box.send("GET", f"/edge/v1/down?after={after}&wait=0", lane=Lane.DOWN)
    assert (said.status, said.signed) == (200, True)
    check("messages", said.content)
    return list(said.content["messages"])


async def granted(box: Box, grant_id: str) -> None:
    """Have the box tell of a grant."""
    box.make_rows(grants=[{"grant_id": grant_id, "created_at": "2026-11-21T06:00:00.000Z"}])
    assert (await box.post_all()).status == 200


async def test_a_configuration_is_whole_numbered_and_signed(hub: Hub, box: Box) -> None:
    """The box can hold it against the hub's key at any time, also long after it came."""
    version = await parts_of(hub).publisher.publish(box.site, [PACKAGE], [GATEWAY])
    (message,) = await messages(box)
    data = message["data"]
    assert (message["type"], data["version"], version) == ("config", 1, 1)
    assert (data["packages"], data["gateways"], data["revoked"]) == ([PACKAGE], [GATEWAY], [])
    content = {name: data[name] for name in ("packages", "gateways", "revoked")}
    signature = base64.b64decode(data["signature"])
    VerifyKey(box.hub_key).verify(configuration_signed(box.site, 1, content), signature)
    for wrong in (
        configuration_signed(box.site, 2, content),
        configuration_signed("0" * 16, 1, content),
        configuration_signed(box.site, 1, {**content, "packages": [{**PACKAGE, "price": 1}]}),
    ):
        with pytest.raises(Exception, match="forged"):
            VerifyKey(box.hub_key).verify(wrong, signature)


async def test_versions_rise_and_only_the_newest_waits(hub: Hub, box: Box) -> None:
    """A box that was away gets one snapshot, not the history; the next number goes on above."""
    publisher = parts_of(hub).publisher
    for price in (50, 60, 70):
        await publisher.publish(box.site, [{**PACKAGE, "price": price}], [])
    (message,) = await messages(box)
    assert (message["n"], message["data"]["version"], message["data"]["packages"][0]["price"]) == (3, 3, 70)
    state = await box.send("GET", "/edge/v1/state")
    assert state.content["configVersion"] == 3


async def test_a_site_gets_its_own_configuration_only(hub: Hub, box: Box, http: Any) -> None:
    """Versions are counted for each; one that does not exist gets none."""
    other = await enrolled_box(hub, http)
    await parts_of(hub).publisher.publish(other.site, [PACKAGE], [])
    assert await messages(box) == []
    with pytest.raises(NotFoundError):
        await parts_of(hub).publisher.publish("0" * 16, [PACKAGE], [])


async def test_nothing_is_published_to_a_box_nobody_confirmed(hub: Hub, http: Any) -> None:
    """It may be anybody's until a person compared its key: gateways hold secrets."""
    stranger = await enrolled_box(hub, http, confirmed=False)
    await parts_of(hub).publisher.publish(stranger.site, [], [{**GATEWAY, "passkey": CANARY}])
    assert await messages(stranger) == []
    await parts_of(hub).enrolment.confirm(stranger.site)
    assert len(await messages(stranger)) == 1


async def test_a_configuration_has_a_bound(hub: Hub, box: Box) -> None:
    """Longer than a message may be is refused, and no version is used up."""
    with pytest.raises(InvalidError):
        await parts_of(hub).publisher.publish(box.site, [{"name": "x" * 300_000}], [])
    assert await parts_of(hub).publisher.publish(box.site, [PACKAGE], []) == 1


async def test_a_grant_is_taken_back_once(hub: Hub, box: Box) -> None:
    """One message, with the reason; later snapshots say it too, so that a new box knows."""
    await granted(box, "grant-1")
    publisher = parts_of(hub).publisher
    assert await publisher.revoke(box.site, "grant-1", "  paid back \n") is True
    assert await publisher.revoke(box.site, "grant-1", "again") is False
    assert [one["data"] for one in await messages(box)] == [{"grant": "grant-1", "reason": "paid back"}]
    await publisher.publish(box.site, [PACKAGE], [])
    assert (await messages(box, 1))[0]["data"]["revoked"] == ["grant-1"]


@pytest.mark.parametrize(("grant", "reason"), [("grant-1", ""), ("grant-1", "x" * 201), ("grant-1", "a\0b")])
async def test_a_reason_is_something_people_can_read(hub: Hub, box: Box, grant: str, reason: str) -> None:
    """Not nothing, not a page, nothing that cannot be printed."""
    await granted(box, grant)
    with pytest.raises(InvalidError):
        await parts_of(hub).publisher.revoke(box.site, grant, reason)


async def test_a_grant_of_another_site_cannot_be_taken_back_here(hub: Hub, box: Box, http: Any) -> None:
    """A mistyped id is said, not sent."""
    other = await enrolled_box(hub, http)
    await granted(other, "grant-2")
    with pytest.raises(NotFoundError):
        await parts_of(hub).publisher.revoke(box.site, "grant-2", "mistyped")
    assert await messages(box) == []


# --- the files


def write(folder: Path, text: str, name: str = "site.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def secrets(folder: Path) -> str:
    lines = []
    for name in ("consumer_key", "consumer_secret", "passkey"):
        (folder / name).write_text(f"{CANARY}-{name}\n")
        (folder / name).chmod(0o600)
        lines.append(f'{name}_file = "{name}"')
    return "\n".join(lines)


GATEWAY_TOML = '[[gateway]]\nid = "main"\nsub_type = "PAYBILL"\nshortcode = "600100"\n'
PACKAGE_TOML = '[[package]]\nid = "day"\nname = "A day"\nprice = 50\nduration = "24h"\nspeed = "5M"\n'


def test_a_file_is_told_with_its_secrets_in_it(tmp_path: Path) -> None:
    """A box has no file of that name; what it is told is what its own models take."""
    path = write(tmp_path, PACKAGE_TOML + GATEWAY_TOML + secrets(tmp_path))
    packages, gateways = read_published(path)
    assert packages == [PACKAGE]
    given = {name: f"{CANARY}-{name}" for name in ("consumer_key", "consumer_secret", "passkey")}
    assert gateways == [{"id": "main", "sub_type": "PAYBILL", "shortcode": "600100", **given}]


def test_json_is_read_too(tmp_path: Path) -> None:
    """The same tables."""
    path = write(tmp_path, json.dumps({"package": [PACKAGE]}), "site.json")
    assert read_published(path) == ([PACKAGE], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PACKAGE_TOML.replace("50", "-1"), "price"),
        (PACKAGE_TOML.replace("speed", "sped"), "sped"),
        (PACKAGE_TOML + PACKAGE_TOML, "is the id of"),
        (PACKAGE_TOML.replace("[[package]]", "[[packages]]"), "packages"),
        (GATEWAY_TOML, "consumer_key_file"),
        (GATEWAY_TOML + 'passkey = "a secret here"\n', "passkey"),
        ("[[package", "TOML"),
        ("\udcff".encode(errors="surrogateescape").decode("latin-1"), "TOML"),
    ],
)
def test_what_a_box_would_not_take_is_not_published(tmp_path: Path, text: str, said: str) -> None:
    """Refused here, with the fault and no secret."""
    with pytest.raises(InvalidError) as refused:
        read_published(write(tmp_path, text))
    assert said in str(refused.value)
    assert "a secret here" not in str(refused.value)


def test_a_certificate_of_this_machine_is_not_published(tmp_path: Path) -> None:
    """A box has no such file."""
    text = GATEWAY_TOML + secrets(tmp_path) + '\nbase_url = "https://pay.example.com"\nca_file = "ca.pem"\n'
    with pytest.raises(InvalidError, match="ca_file"):
        read_published(write(tmp_path, text))


async def test_the_commands_publish_revoke_and_command(hub: Hub, box: Box, tmp_path: Path, database: Any) -> None:
    """Beside a hub that runs; what is wrong is said and ends with 1."""
    await granted(box, "grant-1")
    config = str(write_config(tmp_path, database, 0))
    path = write(tmp_path, PACKAGE_TOML)

    async def run(*words: str) -> int:
        return await asyncio.to_thread(main, ["hub", *words, "--config", config])

    assert await run("publish", box.site, str(path)) == 0
    assert await run("revoke", box.site, "grant-1", "--reason", "paid back") == 0
    assert await run("command", box.site, "look") == 0
    assert [one["type"] for one in await messages(box)] == ["config", "revoke", "command"]
    assert (await messages(box))[-1]["data"] == {"verb": "look"}
    assert await run("command", "0" * 16, "sync") == 1
    assert await run("publish", "0" * 16, str(path)) == 1
    assert await run("revoke", box.site, "grant-9", "--reason", "mistyped") == 1
    assert await run("publish", box.site, str(write(tmp_path, "[[package", "bad.toml"))) == 1
