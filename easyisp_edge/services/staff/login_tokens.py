"""What users and programs carry: signed tokens for a quarter of an hour, refresh tokens, and API tokens.

Source: RFC 7519 (JSON Web Token), RFC 7518 section 3.2 (HS256).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from easyisp_edge.domain.users import TOKEN_LIFE
from easyisp_edge.errors import UnauthenticatedError

if TYPE_CHECKING:
    from datetime import datetime

    from jwt.types import Options

    from easyisp_edge.domain.users import StaffUser
    from easyisp_edge.machine import Randomness

API_TOKEN_PREFIX = "eie_"  # noqa: S105 - what they begin with
API_TOKEN_OCTETS = 32
KEY_PURPOSE = "login tokens"
_ALGORITHM = "HS256"
# The clock that counts is the box's, and the library would ask the machine's.
_OPTIONS: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "require": ["userId", "sid", "exp"],
}
_TURN_DIGITS_MAX = 9


class SignedToken(NamedTuple):
    """What a signed token says.

    Args:
        user_id: Whose it is.
        login_id: Which login it belongs to.
    """

    user_id: str
    login_id: str


class RefreshToken(NamedTuple):
    """What a refresh token says.

    Args:
        login_id: Which login it belongs to.
        turn: Which of that login's refresh tokens it is.
        digest: Its digest.
    """

    login_id: str
    turn: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class LoginTokens:
    """Makes and reads what a login carries.

    Args:
        key: Signs them; 32 octets, from outside of the books.
    """

    key: bytes = field(repr=False)

    def sign(self, user: StaffUser, login_id: str, now: datetime) -> str:
        """A token for a quarter of an hour."""
        import jwt  # noqa: PLC0415 - a box on which nobody logs in does without

        issued = int(now.timestamp())
        claims = {
            "userId": user.user_id,
            "tenantId": user.tenant_id,
            "sid": login_id,
            "iat": issued,
            "exp": issued + int(TOKEN_LIFE.total_seconds()),
        }
        return jwt.encode(claims, self.key, algorithm=_ALGORITHM)

    def read(self, token: str, now: datetime) -> SignedToken:
        """What a token says, if it was signed here and is not over.

        Raises:
            UnauthenticatedError: It was not, or is.
        """
        import jwt  # noqa: PLC0415 - as above

        try:
            claims = jwt.decode(token, self.key, algorithms=[_ALGORITHM], options=_OPTIONS)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise UnauthenticatedError("token.unknown", "This token is not known here. Log in again.") from error
        if now.timestamp() >= claims["exp"]:
            raise UnauthenticatedError("token.expired", "This token is over. Ask for a new one, or log in again.")
        return SignedToken(str(claims["userId"]), str(claims["sid"]))

    def refresh_token(self, login_id: str, turn: int) -> str:
        """A login's refresh token of a turn: the same each time, so that a lost answer can be given again."""
        stem = f"{login_id}.{turn}"
        seal = hmac.digest(self.key, f"refresh {stem}".encode(), "sha256")
        return f"{stem}.{_text(seal)}"

    def read_refresh(self, token: str) -> RefreshToken | None:
        """What a refresh token says; None where it was not made here."""
        login_id, _, rest = token.partition(".")
        turn = rest.partition(".")[0]
        if not (token.isascii() and turn.isdigit() and len(turn) <= _TURN_DIGITS_MAX):
            return None
        if not hmac.compare_digest(self.refresh_token(login_id, int(turn)), token):
            return None
        return RefreshToken(login_id, int(turn), digest_of(token))


def new_api_token(randomness: Randomness) -> str:
    """An API token nobody can guess."""
    return API_TOKEN_PREFIX + _text(randomness.token(API_TOKEN_OCTETS))


def digest_of(secret: str) -> bytes:
    """What is kept of a secret that nobody can guess."""
    return hashlib.sha256(secret.encode()).digest()


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")
