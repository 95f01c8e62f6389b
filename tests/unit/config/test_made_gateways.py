"""Gateways made at the back office beside those of the files: one set of rules, the files first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from easyisp_edge.config import Config, ConfigError, Gateway, GatewaySource, load_config
from easyisp_edge.config.made_gateways import made_gateway, with_made
from easyisp_edge.domain.packages import Service

if TYPE_CHECKING:
    from pathlib import Path

KEYS = dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), "secret")
PAYBILL = {"sub_type": "PAYBILL", "shortcode": "600986", **KEYS}
TENANTS = '[[tenant]]\nid = "a"\nname = "A"\n[[tenant]]\nid = "b"\nname = "B"\n'
OF_A = '[[gateway]]\nid = "filed"\ntenant = "a"\ntype = "MPESA_NO_API"\nsub_type = "BUYGOODS"\nshortcode = "512345"\n'


def made(gateway_id: str, **changes: Any) -> Gateway:
    return made_gateway({"id": gateway_id, "tenant": "a", **PAYBILL, **changes})


def declared(folder: Path, gateways: str = "") -> Config:
    (folder / "edge.toml").write_text("", encoding="utf-8")
    (folder / "tenants.toml").write_text(TENANTS, encoding="utf-8")
    (folder / "gateways.toml").write_text(gateways, encoding="utf-8")
    return load_config(folder, {})


def defaults(config: Config) -> dict[str, list[str]]:
    """The default gateways of each tenant."""
    found: dict[str, list[str]] = {gateway.tenant: [] for gateway in config.gateways}
    for gateway in config.gateways:
        if gateway.default:
            found[gateway.tenant].append(gateway.id)
    return found


def test_made_gateways_stand_beside_declared_ones(tmp_path: Path) -> None:
    """All are there, declared ones first, and what a gateway does not say of itself the files' rules say."""
    config, left_out = with_made(declared(tmp_path, OF_A), [made("m"), made("n", tenant="b")])
    assert [gateway.id for gateway in config.gateways] == ["filed", "m", "n"]
    assert [gateway.source for gateway in config.gateways] == [
        GatewaySource.FILE,
        GatewaySource.STORE,
        GatewaySource.STORE,
    ]
    assert left_out == {}
    assert config.gateway("m").signing_shortcode == "600986"


def test_a_tenant_has_one_default_whatever_was_made(tmp_path: Path) -> None:
    """A tenant the files give a gateway has its default there; another one has the made default, or the first made."""
    gateways = [made("m", default=True), made("n", tenant="b"), made("o", tenant="b", default=True)]
    config, _ = with_made(declared(tmp_path, OF_A), gateways)
    assert defaults(config) == {"a": ["filed"], "b": ["o"]}
    config, _ = with_made(declared(tmp_path), [made("m"), made("n")])
    assert defaults(config) == {"a": ["m"]}
    gateway = config.gateway_for("a", Service.PPPOE)
    assert gateway is not None
    assert gateway.id == "m"


def test_what_the_files_take_or_drop_is_left_out(tmp_path: Path) -> None:
    """An id that a file has, and a tenant it has no more, leave a made gateway out, with the reason."""
    config, left_out = with_made(declared(tmp_path, OF_A), [made("filed", default=True), made("m", tenant="c")])
    assert [(gateway.id, gateway.source) for gateway in config.gateways] == [("filed", GatewaySource.FILE)]
    assert left_out.keys() == {"filed", "m"}
    assert "no tenant c" in left_out["m"]


def test_a_file_cannot_say_where_it_comes_from(tmp_path: Path) -> None:
    """The key is the reader's, and unknown in a file."""
    with pytest.raises(ConfigError, match="source: unknown key"):
        declared(tmp_path, OF_A + 'source = "store"\n')


def test_the_number_that_signs_has_one_name() -> None:
    """For a bank account it is the tenant's own short code, for a till its store's."""
    bank = made("m", sub_type="BANK", shortcode="247247", store_number="600987", account_number="0123456789")
    till = made("m", sub_type="BUYGOODS", shortcode="512345", store_number="600987")
    assert (bank.business_shortcode, bank.store_number) == ("600987", None)
    assert (till.business_shortcode, till.store_number) == (None, "600987")


def test_all_faults_come_up_together_and_tell_no_secret() -> None:
    """Each fault by the contract's name of its field, in its words; values of secrets in none."""
    with pytest.raises(ConfigError) as refused:
        made("m", sub_type="BANK", shortcode="12", passkey="", name="x" * 81)
    assert {problem.key for problem in refused.value.problems} == {
        "passkey",
        "storeNumber",
        "accountNumber",
        "name",
        "shortcode",
    }
    assert "secret" not in refused.value.message
    assert "sub_type" not in refused.value.message
