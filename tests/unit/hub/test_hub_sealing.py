from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.domain.database_address import SqliteAddress
from easyisp_edge.hub.keys import HubKey, Seal, UnopenedError
from tests.fakes.hub_stage import enrolled_box, hub_config, parts_of, running_hub
from tests.unit.hub.seen import alarms
from tests.unit.hub.test_hub_publish import messages

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.hub.hub import Hub
    from tests.fakes.hub_stage import Box

CANARY = "c4n4ry-of-a-passkey"
GATEWAY = {"id": "main", "sub_type": "PAYBILL", "shortcode": "600100", "passkey": CANARY}


async def test_no_secret_of_a_gateway_stands_in_the_database(hub: Hub, box: Box) -> None:
    """Nor in a copy of it; the box gets it all the same, and again after a restart of its own."""
    await parts_of(hub).publisher.publish(box.site, [], [GATEWAY])
    async with parts_of(hub).database.reading() as tx:
        for table in ("configurations", "down_messages"):
            kept = repr(await tx.rows(f"SELECT * FROM {table} WHERE site_id = $1", box.site))  # noqa: S608 - constants
            assert box.site in kept
            assert CANARY not in kept
            assert "600100" not in kept
    for _ in range(2):
        (message,) = await messages(box)
        assert message["data"]["gateways"] == [GATEWAY]


def test_a_sealed_text_opens_in_its_place_and_with_its_key_only() -> None:
    """Not at another site, not with another hub's key, not changed by a bit, not cut."""
    seal = Seal(HubKey(b"k" * 32))
    sealed = seal.close(CANARY, "one 1 message")
    assert seal.open(sealed, "one 1 message") == CANARY
    swapped = sealed[:-4] + ("A" if sealed[-4] != "A" else "B") + sealed[-3:]
    for other, text, place in (
        (seal, sealed, "two 1 message"),
        (seal, sealed, "one 2 message"),
        (Seal(HubKey(b"j" * 32)), sealed, "one 1 message"),
        (seal, swapped, "one 1 message"),
        (seal, sealed[:8], "one 1 message"),
        (seal, "", "one 1 message"),
        (seal, "no base64!", "one 1 message"),
    ):
        with pytest.raises(UnopenedError):
            other.open(text, place)


def test_no_nonce_serves_two_texts() -> None:
    """Neither for another text nor for another place."""
    seal = Seal(HubKey(b"k" * 32))
    sealed = {seal.close(text, place)[:32] for text in ("a", "b") for place in ("x", "y")}
    assert len(sealed) == 4


async def test_a_configuration_that_does_not_open_is_in_nobodys_way(tmp_path: Path, http: Any) -> None:
    """What waits behind it reaches the box; an alarm says what to do."""
    config = hub_config(tmp_path, SqliteAddress(tmp_path / "hub.sqlite"))
    async with running_hub(config) as hub:
        box = await enrolled_box(hub, http)
        await parts_of(hub).publisher.publish(box.site, [], [GATEWAY])
        async with parts_of(hub).database.transaction() as tx:
            (row,) = await tx.rows("SELECT data FROM down_messages WHERE site_id = $1", box.site)
            moved = json.dumps({**json.loads(row[0]), "version": 2})
            await tx.rows("UPDATE down_messages SET data = $2 WHERE site_id = $1", box.site, moved)
        await parts_of(hub).down.publish(box.site, "command", {"verb": "look"})
        assert [message["type"] for message in await messages(box)] == ["command"]
        assert (await alarms(hub, box.site))["config.sealed"] >= 1
