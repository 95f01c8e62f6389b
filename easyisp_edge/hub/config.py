"""The hub's configuration: one file, `hub.toml`."""

from __future__ import annotations

import ipaddress
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from easyisp_edge.domain.database_address import (
    POSTGRESQL_PORT,
    DatabaseAddress,
    PostgresqlAddress,
    SqliteAddress,
)
from easyisp_edge.errors import InvalidError
from easyisp_edge.hub.mpesa_accounts import MpesaAccount

_OCTETS_MAX = 100_000
_EXAMPLES = "sqlite:///var/lib/easyisp-hub/hub.sqlite or postgresql://hub:password@127.0.0.1/hub"


def parse_database(text: object) -> DatabaseAddress:
    """Read the address of the hub's database.

    Raises:
        ValueError: It is none. The message says no password.
    """
    if isinstance(text, SqliteAddress | PostgresqlAddress):
        return text
    try:
        parts = urlsplit(str(text).strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"no address of a database; write it as {_EXAMPLES}") from None
    path = unquote(parts.path)
    if parts.query or parts.fragment:
        raise ValueError(f"something stands behind the name; write it as {_EXAMPLES}")
    if parts.scheme == "sqlite" and not parts.netloc and path.startswith("/") and not path.endswith("/"):
        return SqliteAddress(Path(path))
    if parts.scheme in {"postgresql", "postgres"} and parts.hostname and parts.username and path.strip("/"):
        user, password = unquote(parts.username), unquote(parts.password or "")
        host = unquote(parts.hostname)
        return PostgresqlAddress(host, port or POSTGRESQL_PORT, user, password, path.removeprefix("/"))
    raise ValueError(f"no address of a database; write it as {_EXAMPLES}")


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("has to be the address boxes and M-Pesa reach, without a path: https://hub.example.com")
    return url.rstrip("/")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("has to be the address of one machine, such as 127.0.0.1") from None


class HubConfig(BaseModel):
    """What `hub.toml` says.

    Args:
        address: Where the hub listens; what ends TLS stands before it.
        port: TCP port; 0 for any that is free.
        public_url: How boxes and M-Pesa reach it.
        database: Where what it knows is kept.
        key_file: Its signing key, made at the first start. Hubs that share a database share this file too.
        proxies: What stands before it, whose word on where a request came from counts.
        fleet_token_file: The secret that opens the fleet's pages and its API; closed where it is left out.
        mpesa: The short codes it looks receipts up for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8700
    public_url: Annotated[str, AfterValidator(_public_url)]
    database: Annotated[SqliteAddress | PostgresqlAddress, BeforeValidator(parse_database)]
    key_file: Path
    proxies: frozenset[Annotated[str, AfterValidator(_address)]] = frozenset({"127.0.0.1", "::1"})
    fleet_token_file: Path | None = None
    mpesa: tuple[MpesaAccount, ...] = ()

    @field_validator("mpesa")
    @classmethod
    def _each_once(cls, accounts: tuple[MpesaAccount, ...]) -> tuple[MpesaAccount, ...]:
        numbers = [number for account in accounts for number in account.numbers]
        if len(numbers) != len(set(numbers)):
            raise ValueError("a short code or till is named twice")
        return accounts


def load_hub_config(path: Path) -> HubConfig:
    """Read the hub's configuration; names of files in it are relative to its folder.

    Raises:
        InvalidError: It cannot be read, or is wrong; the message names every fault and no secret.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_OCTETS_MAX).decode("utf-8-sig").replace("\r\n", "\n")
        config = HubConfig.model_validate(tomllib.loads(text))
    except OSError as error:
        raise InvalidError("hub.config", f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError("hub.config", f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise InvalidError("hub.config", "\n".join(_placed(fault, path, text) for fault in error.errors())) from None
    return _beside(config, path.parent)


def _beside(config: HubConfig, folder: Path) -> HubConfig:
    token_file = config.fleet_token_file
    return config.model_copy(
        update={
            "key_file": folder / config.key_file,
            "fleet_token_file": None if token_file is None else folder / token_file,
            "mpesa": tuple(account.beside(folder) for account in config.mpesa),
        }
    )


def _placed(fault: Any, path: Path, text: str) -> str:
    """What is wrong, behind the file and the line where it stands."""
    from easyisp_edge.config.source_lines import source_lines  # noqa: PLC0415 - a hub that is right does without

    line = source_lines(text).line_of(fault["loc"])
    return f"{path}: {_said(fault)}" if line is None else f"{path}:{line}: {_said(fault)}"


def _said(fault: Any) -> str:
    place, kind = ".".join(map(str, fault["loc"])), fault["type"]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        known = (MpesaAccount if fault["loc"][0] == "mpesa" else HubConfig).model_fields
        near = get_close_matches(str(fault["loc"][-1]), known, n=1)
        return f"{place} is no setting of the hub's" + (f"; did you mean {near[0]}?" if near else "")
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"
