"""Gateways that people made at the back office: held to the same rules as those in files, and put beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from easyisp_edge.config.explain import explain
from easyisp_edge.config.field_types import Surroundings
from easyisp_edge.config.gateway_types import KEYS, GatewaySource, SubType
from easyisp_edge.config.gateways import Gateway, with_defaults
from easyisp_edge.config.problems import ConfigError, Document, Findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from easyisp_edge.config.configuration import Config
    from easyisp_edge.config.source_lines import Path as KeyPath

_API_NAMES = {
    "sub_type": "subType",
    "store_number": "storeNumber",
    "business_shortcode": "storeNumber",  # the contract has one name for the number that signs
    "account_number": "accountNumber",
    "consumer_key": "consumerKey",
    "consumer_secret": "consumerSecret",
    "environment": "env",
    "for_hotspot": "forHotspot",
    "for_pppoe": "forPppoe",
}
_KEY_IN_TEXT = re.compile(rf"\b({'|'.join(key for key in _API_NAMES if '_' in key)})\b")


def made_gateway(fields: Mapping[str, Any]) -> Gateway:
    """A gateway from what the back office knows of it.

    Args:
        fields: By the keys of a gateway's table, except that `store_number` is the number that signs for a bank
            account, too. What is None or empty counts as left out.

    Raises:
        ConfigError: It breaks rules; keys are called as the HTTP contract calls them, and no secret is told.
    """
    table = _table(fields)
    names: dict[KeyPath, str] = {(key,): name for key, name in _API_NAMES.items()}
    findings, document = Findings(), Document("request", {}, names=names)
    said: set[KeyPath] = set()
    for key, message in Gateway.conditions(table):
        findings.add(document, (key,), message)
        said.add((key,))
    try:
        gateway = Gateway.model_validate(table, context=Surroundings(Path(), development=False))
    except ValidationError as error:
        explain(error, Gateway, document, (), findings, said=said)
        raise _in_words_of_the_api(findings) from None
    return gateway


def _table(fields: Mapping[str, Any]) -> dict[str, Any]:
    table = {key: value for key, value in fields.items() if value not in (None, "")}
    if table.get("sub_type") == SubType.BANK and "store_number" in table:
        table["business_shortcode"] = table.pop("store_number")
    secrets = {key: SecretStr(table[key]) for key in KEYS if key in table}
    return {**table, **secrets, "source": GatewaySource.STORE}


def _in_words_of_the_api(findings: Findings) -> ConfigError:
    try:
        findings.refuse_any()
    except ConfigError as error:
        renamed = (
            replace(problem, message=_KEY_IN_TEXT.sub(lambda key: _API_NAMES[key[1]], problem.message))
            for problem in error.problems
        )
        return ConfigError(tuple(renamed))
    raise AssertionError("a model that refuses says why")


def with_made(declared: Config, made: Iterable[Gateway]) -> tuple[Config, dict[str, str]]:
    """What is declared, with what was made beside it; and which of the latter are left out, and why.

    What is declared goes first: an id that stands there is not taken from elsewhere, and a tenant of which it names
    any gateway has its default among those.
    """
    taken = {gateway.id for gateway in declared.gateways}
    settled = {gateway.tenant for gateway in declared.gateways}
    tenants = {tenant.id for tenant in declared.tenants}
    left_out, beside = {}, []
    for gateway in made:
        if gateway.id in taken:
            left_out[gateway.id] = "a gateway of that id is declared, which counts"
        elif gateway.tenant not in tenants:
            left_out[gateway.id] = f"there is no tenant {gateway.tenant} any more"
        else:
            beside.append(gateway.model_copy(update={"default": False}) if gateway.tenant in settled else gateway)
    return replace(declared, gateways=with_defaults((*declared.gateways, *beside))), left_out
