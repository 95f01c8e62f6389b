"""The old deployment's account at M-Pesa, read as a gateway, and its callback address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from easyisp_edge.config.gateway_types import GatewaySource, SubType
from easyisp_edge.config.gateways import Gateway
from easyisp_edge.config.problems import Document
from easyisp_edge.config.urls import callback_url, origin, web_url
from easyisp_edge.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config.mpesa_variables import MpesaVariables
    from easyisp_edge.config.tables import TableReader

GATEWAY_ID = "legacy"
CALLBACK_VARIABLE = "MPESA_CALLBACK_URL"
WEBHOOK_VARIABLE = "MPESA_WEBHOOK_KEY"


def read_legacy_gateway(variables: MpesaVariables, tenant_id: str, reader: TableReader) -> Gateway | None:
    """The old deployment's gateway, for hotspot and PPPoE; None when something is wrong with it, then noted."""
    if variables.note_missing(reader.findings, "make no gateway"):
        return None
    gateway = variables.read(
        Gateway,
        reader,
        id=GATEWAY_ID,
        tenant=tenant_id,
        name="Migrated Gateway",
        sub_type=SubType.PAYBILL,
        default=True,
        for_hotspot=True,
        for_pppoe=True,
    )
    return None if gateway is None else gateway.model_copy(update={"source": GatewaySource.ENVIRONMENT})


def legacy_webhook_key(environ: Mapping[str, str]) -> SecretStr | None:
    """The old deployment's key for the webhook; None where it has none."""
    key = environ.get(WEBHOOK_VARIABLE, "").strip()
    return SecretStr(key) if key else None


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
