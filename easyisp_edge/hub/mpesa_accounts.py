"""The short codes a hub looks receipts up for: `[[mpesa]]` in `hub.toml`, with secrets in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from easyisp_edge.domain.sync import SITE_ID
from easyisp_edge.errors import EdgeError
from easyisp_edge.hub.keys import BY_OTHERS

_ShortCode = Annotated[str, Field(pattern=r"^[0-9]{5,10}$")]
_SiteId = Annotated[str, Field(pattern=f"^{SITE_ID.pattern}$")]
_OCTETS_MAX = 4096
_THIS_MACHINE = {"127.0.0.1", "::1", "localhost"}


def _base_url(url: str) -> str:
    """An address secrets may be sent to."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
    if (
        not parts.hostname
        or not (plain or parts.scheme == "https")
        or parts.path.strip("/")
        or parts.query
        or "@" in url
    ):
        raise ValueError("has to begin with https://, without a path: https://api.safaricom.co.ke")
    return url


class MpesaAccount(BaseModel):
    """`[[mpesa]]`: one organisation at M-Pesa.

    Args:
        short_code: That signs: a PayBill's own, a till's store number.
        tills: Tills it owns.
        sites: Whose boxes may ask about it; all where it is left out.
        pull: Whether its payments may be pulled.
        consumer_key_file: The app's key.
        consumer_secret_file: The app's secret.
        initiator: The API operator for Transaction Status.
        security_credential_file: The operator's password, encrypted for M-Pesa, in base64.
        till: Whether Transaction Status is asked as a till.
        base_url: Of the environment.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    short_code: _ShortCode
    tills: tuple[_ShortCode, ...] = ()
    sites: tuple[_SiteId, ...] = ()
    pull: bool = False
    consumer_key_file: Path
    consumer_secret_file: Path
    initiator: Annotated[str, Field(max_length=100)] = ""
    security_credential_file: Path | None = None
    till: bool = False
    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.safaricom.co.ke"

    @model_validator(mode="after")
    def _can_ask(self) -> MpesaAccount:
        if bool(self.initiator) != (self.security_credential_file is not None):
            raise ValueError("initiator and security_credential_file go together")
        if not self.pull and not self.initiator:
            raise ValueError("either pull = true, or an initiator: else nothing can be looked up")
        return self

    @property
    def numbers(self) -> frozenset[str]:
        """The numbers whose money is this organisation's."""
        return frozenset({self.short_code, *self.tills})

    def may_ask(self, site_id: str) -> bool:
        """Whether a site's box may ask about it."""
        return not self.sites or site_id in self.sites

    def beside(self, folder: Path) -> MpesaAccount:
        """The same with its files looked for in a folder."""
        named: dict[str, Any] = {
            name: folder / path
            for name in ("consumer_key_file", "consumer_secret_file", "security_credential_file")
            if (path := getattr(self, name)) is not None
        }
        return self.model_copy(update=named)


def read_secret(path: Path) -> SecretStr:
    """The one line in a file that only its owner may read.

    Raises:
        EdgeError: It cannot be read, is not fit, or others may read it. The message holds nothing of it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()[: _OCTETS_MAX + 1].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds something other than plain text"
        raise EdgeError("hub.secret", f"{path}: cannot be read: {why}.") from None
    if mode & BY_OTHERS:
        raise EdgeError("hub.secret", f"{path}: every user of this machine may read or write it; chmod 600 it.")
    if not text or len(text) > _OCTETS_MAX or not text.isprintable():
        raise EdgeError("hub.secret", f"{path}: has to hold one line of text.")
    return SecretStr(text)
