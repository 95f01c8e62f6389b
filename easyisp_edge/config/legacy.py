"""The environment variables of the old deployment, read as a gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from easyisp_edge.config.gateways import Environment, Gateway, SubType
from easyisp_edge.config.problems import Document
from easyisp_edge.config.urls import callback_url, origin, web_url
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from easyisp_edge.config.source_lines import Path
    from easyisp_edge.config.tables import TableReader

GATEWAY_ID = "legacy"
CALLBACK_VARIABLE = "MPESA_CALLBACK_URL"
_VARIABLES = {
    "consumer_key": "MPESA_CONSUMER_KEY",
    "consumer_secret": "MPESA_CONSUMER_SECRET",
    "shortcode": "MPESA_SHORTCODE",
    "passkey": "MPESA_PASSKEY",
}
_ENVIRONMENT_VARIABLE = "MPESA_ENV"


def has_legacy_gateway(environ: Mapping[str, str]) -> bool:
    """Whether the environment speaks of a gateway at all."""
    return any(environ.get(variable) for variable in _VARIABLES.values())


def read_legacy_gateway(environ: Mapping[str, str], tenant_id: str, reader: TableReader) -> Gateway | None:
    """The old deployment's gateway, for hotspot and PPPoE; None when something is wrong with it, then noted."""
    names: dict[Path, str] = {(key,): variable for key, variable in _VARIABLES.items()}
    document = Document("environment", environ, names={**names, ("environment",): _ENVIRONMENT_VARIABLE})
    missing = [key for key, variable in _VARIABLES.items() if not environ.get(variable)]
    for key in missing:
        others = ", ".join(variable for variable in _VARIABLES.values() if environ.get(variable))
        reader.findings.add(document, (key,), f"missing; {others} alone make no gateway")
    if missing:
        return None
    # There are no files to name here: the variables hold the secrets themselves.
    inline = replace(reader, secrets=replace(reader.secrets, development=True))
    return inline.read(Gateway, document, (), _gateway_table(environ, tenant_id))


def legacy_callback_base(environ: Mapping[str, str], reader: TableReader) -> str | None:
    """Scheme, host and port of the old callback address; None when there is none, or a wrong one, then noted."""
    text = environ.get(CALLBACK_VARIABLE, "").strip()
    if not text:
        return None
    try:
        return callback_url(origin(web_url(text)), development=reader.surroundings.development)
    except InvalidError as error:
        document = Document("environment", environ)
        reader.findings.add(document, (CALLBACK_VARIABLE,), error.message)
        return None


def _gateway_table(environ: Mapping[str, str], tenant_id: str) -> dict[str, Any]:
    values = {key: environ[variable].strip() for key, variable in _VARIABLES.items()}
    return {
        **values,
        "id": GATEWAY_ID,
        "tenant": tenant_id,
        "name": "Migrated Gateway",
        "sub_type": SubType.PAYBILL,
        "environment": environ.get(_ENVIRONMENT_VARIABLE) or Environment.SANDBOX,
        "default": True,
        "for_hotspot": True,
        "for_pppoe": True,
    }
