"""What a hub publishes lies below the files: whole, by their rules, and naming nothing of this box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.config.central import with_central
from easyisp_edge.domain.packages import Service

if TYPE_CHECKING:
    from pathlib import Path

    from easyisp_edge.config import Config

OWN = '[[package]]\nid = "1h"\nname = "1 hour"\nprice = 10\nduration = "1h"\nspeed = "2M/5M"\n'
WEEK = {"id": "1w", "name": "1 week", "price": 300, "duration": "7d", "speed": "3M/8M"}
TILL = {
    "id": "till",
    "sub_type": "BUYGOODS",
    "shortcode": "512345",
    "store_number": "600987",
    "consumer_key": "key",
    "consumer_secret": "canary-secret",
    "passkey": "pass",
}
GATEWAY = """[[gateway]]
id = "paybill"
sub_type = "PAYBILL"
shortcode = "600100"
consumer_key_file = "secret"
consumer_secret_file = "secret"
passkey_file = "secret"
"""


def load(folder: Path, *, gateways: str = "", edge: str = "[central]\ncallbacks = true\n") -> Config:
    (folder / "secret").write_text("s3cret", encoding="utf-8")
    (folder / "secret").chmod(0o600)
    (folder / "edge.toml").write_text(edge, encoding="utf-8")
    (folder / "packages.toml").write_text(OWN, encoding="utf-8")
    (folder / "gateways.toml").write_text(gateways, encoding="utf-8")
    return load_config(folder, {})


def published(**content: Any) -> dict[str, Any]:
    return {"packages": [], "gateways": [], "revoked": [], **content}


def test_what_is_published_is_put_beside_what_files_say(tmp_path: Path) -> None:
    """A package of an id that a file has stays as the file has it."""
    config = with_central(load(tmp_path), published(packages=[WEEK, {**WEEK, "id": "1h"}]))
    assert [(package.package_id, package.name) for package in config.packages] == [("1h", "1 hour"), ("1w", "1 week")]


def test_a_tenant_without_a_gateway_gets_the_published_one(tmp_path: Path) -> None:
    """With the secrets that came with it, away from development too; it is the default then."""
    config = with_central(load(tmp_path), published(gateways=[TILL]))
    gateway = config.gateway_for("default", Service.HOTSPOT)
    assert gateway is not None
    assert (gateway.id, gateway.default, gateway.consumer_secret.get_secret_value()) == ("till", True, "canary-secret")


def test_a_files_gateway_stays_the_default(tmp_path: Path) -> None:
    """Whatever the hub says of its own."""
    config = with_central(load(tmp_path, gateways=GATEWAY), published(gateways=[{**TILL, "default": True}]))
    assert [(gateway.id, gateway.default) for gateway in config.gateways] == [("paybill", True), ("till", False)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"packages": [{**WEEK, "speed": "fast"}]}, "speed"),
        ({"packages": [{**WEEK, "unheard_of": 1}]}, "unheard_of"),
        ({"packages": [WEEK, WEEK]}, "is the id of"),
        ({"packages": [{**WEEK, "tenant": "nobody"}]}, "nobody"),
        ({"packages": [{**WEEK, "routers": ["nowhere"]}]}, "nowhere"),
        ({"gateways": [{**TILL, "passkey_file": "/etc/shadow"}]}, "a file of this box"),
        ({"gateways": [{**TILL, "ca_file": "secret"}]}, "a file of this box"),
        ({"gateways": [{**TILL, "base_url": "http://10.0.0.1"}]}, "base_url"),
    ],
)
def test_what_breaks_a_rule_is_refused_as_a_whole(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    """By name, and without a secret in it."""
    with pytest.raises(ConfigError, match=said) as refused:
        with_central(load(tmp_path), published(**content))
    assert "canary-secret" not in refused.value.message


def test_callbacks_by_the_hub_need_no_address_of_ones_own(tmp_path: Path) -> None:
    """Only where the file says that they come so."""
    assert load(tmp_path, gateways=GATEWAY).edge.callbacks.public_url is None
    with pytest.raises(ConfigError, match="public_url"):
        load(tmp_path, gateways=GATEWAY, edge="")
