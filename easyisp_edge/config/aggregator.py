"""An aggregator's keys, which sign for the gateways that have none of their own."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from easyisp_edge.config.daraja_answers import sandbox_in_production
from easyisp_edge.config.field_types import Shortcode
from easyisp_edge.config.gateway_types import KEYS, Environment, GatewayType
from easyisp_edge.config.models import ConfigModel
from easyisp_edge.config.mpesa_variables import ENVIRONMENT_VARIABLE, MpesaVariables
from easyisp_edge.config.problems import Document, spelled
from easyisp_edge.config.references import Tables
from easyisp_edge.config.secret_files import is_given
from easyisp_edge.config.source_lines import Path
from easyisp_edge.config.tables import TableReader

# Stands in for a key of an aggregator that could not be read, so that its gateways are judged all the same.
_UNREAD = SecretStr("could not be read")


class Aggregator(ConfigModel):
    """Whose keys they are: an account at M-Pesa that may push for the tills and PayBills of others."""

    SECRETS: ClassVar = tuple((key,) for key in KEYS)

    consumer_key: SecretStr = Field(description="the app's consumer key")
    consumer_secret: SecretStr = Field(description="the app's consumer secret")
    passkey: SecretStr = Field(description="the short code's passkey")
    shortcode: Shortcode = Field(description="the short code that signs, 5 to 7 digits")
    environment: Annotated[Environment, Field(strict=False)] = Field(description="sandbox or production")

    @property
    def additions(self) -> dict[str, Any]:
        """What a gateway that it signs for gets from it."""
        return {
            **{key: getattr(self, key) for key in KEYS},
            "business_shortcode": self.shortcode,
            "environment": self.environment,
            "aggregated": True,
        }


def keyless(tables: Tables) -> Tables:
    """The gateways with an API that leave out all keys."""
    return [
        (path, table)
        for path, table in tables
        if table.get("type", GatewayType.MPESA_API) == GatewayType.MPESA_API
        and not any(is_given(table, key) for key in KEYS)
    ]


def signed_by_aggregator(
    document: Document, tables: Tables, variables: MpesaVariables, reader: TableReader
) -> dict[Path, dict[str, Any]]:
    """What is added to gateways without keys of their own, by path; nothing where no variable is set.

    What is wrong with the variables, or between them and a gateway, is noted.
    """
    without = keyless(tables)
    if not without or not variables.any_set:
        return {}
    aggregator = _read_aggregator(without, variables, reader)
    if aggregator is None:
        return {path: _stand_in(table) for path, table in without}
    for path, table in without:
        _check_agreement(document, path, table, aggregator, reader)
    return {path: aggregator.additions for path, _ in without}


def _read_aggregator(without: Tables, variables: MpesaVariables, reader: TableReader) -> Aggregator | None:
    first = spelled(without[0][0])
    if variables.note_missing(reader.findings, f"do not sign for {first}, which has no keys of its own"):
        return None
    aggregator = variables.read(Aggregator, reader)
    if aggregator is not None and any(table.get("base_url") is None for _, table in without):
        for key, message in sandbox_in_production("shortcode", vars(aggregator)):
            reader.findings.add(variables.document, (key,), message)
    return aggregator


def _check_agreement(
    document: Document, path: Path, table: dict[str, Any], aggregator: Aggregator, reader: TableReader
) -> None:
    """Note what a gateway says of its signing that the aggregator's keys contradict."""
    for key in ("store_number", "business_shortcode"):
        if table.get(key) not in (None, aggregator.shortcode):
            reader.findings.add(
                document,
                (*path, key),
                "signs nothing: this gateway has no keys, so MPESA_SHORTCODE signs; take it out, or name its keys",
            )
    if table.get("environment") not in (None, aggregator.environment):
        reader.findings.add(
            document,
            (*path, "environment"),
            f"this gateway has no keys, and those that sign are of {aggregator.environment}, as {ENVIRONMENT_VARIABLE} "
            "says (left out, it says sandbox)",
        )


def _stand_in(table: dict[str, Any]) -> dict[str, Any]:
    """As though the gateway's own number signed, of which nothing wrong can be said."""
    return {**dict.fromkeys(KEYS, _UNREAD), "business_shortcode": table.get("shortcode"), "aggregated": True}
