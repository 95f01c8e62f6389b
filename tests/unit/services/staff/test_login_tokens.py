"""What is taken for a token of ours, and what is not."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.domain.permissions import Permission, Role
from easyisp_edge.domain.users import StaffUser, UserStatus
from easyisp_edge.errors import UnauthenticatedError
from easyisp_edge.services.staff.login_tokens import LoginTokens, digest_of, new_api_token
from tests.fakes.clocks import START, SeededRandomness

KEY = bytes(range(32))
TOKENS = LoginTokens(KEY)
NONE: frozenset[Permission] = frozenset()
USER = StaffUser("u1", "u@x.ke", "U", "default", Role.STAFF, NONE, NONE, UserStatus.ACTIVE, START, START)
LATER = START + timedelta(minutes=15)


def claims(**changes: Any) -> dict[str, Any]:
    issued = int(START.timestamp())
    return {"userId": "u1", "tenantId": "default", "sid": "l1", "iat": issued, "exp": issued + 900} | changes


def test_a_token_says_what_the_old_ones_said() -> None:
    """`userId` and `tenantId`, signed by HS256, for a quarter of an hour by the box's clock."""
    token = TOKENS.sign(USER, "l1", START)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False, "verify_iat": False}) == claims()
    assert TOKENS.read(token, LATER - timedelta(seconds=1)) == ("u1", "l1")
    with pytest.raises(UnauthenticatedError, match=r"token\.expired"):
        TOKENS.read(token, LATER)


def unsigned(header: dict[str, Any], payload: dict[str, Any]) -> str:
    parts = (json.dumps(each).encode() for each in (header, payload))
    return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts) + "."


def sealed(header: dict[str, Any], payload: dict[str, Any], digest: str) -> str:
    """Signed by our own key, in another way."""
    stem = unsigned(header, payload)[:-1]
    seal = hmac.digest(KEY, stem.encode(), digest)
    return f"{stem}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"


def forged() -> list[str]:
    """Whatever somebody without the key could send, and what the key signed for something else."""
    genuine = TOKENS.sign(USER, "l1", START)
    head, body, seal = genuine.split(".")
    other = unsigned({"alg": "HS256"}, claims(userId="u2")).split(".")[1]
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode()
    return [
        jwt.encode(claims(), bytes(32), algorithm="HS256"),
        sealed({"alg": "HS512", "typ": "JWT"}, claims(), "sha512"),
        sealed({"alg": "HS384", "typ": "JWT"}, claims(), "sha384"),
        jwt.encode({"userId": "u1", "sid": "l1"}, KEY, algorithm="HS256"),
        jwt.encode({"userId": "u1", "exp": claims()["exp"]}, KEY, algorithm="HS256"),
        unsigned({"alg": "none"}, claims()),
        unsigned({"alg": "None"}, claims()),
        f"{head}.{other}.{seal}",
        f"{head}.{body}.",
        f"{head}.{body}.{seal}.{seal}",
        f"{deep}.{body}.{seal}",
        f"{head}.{deep}.{seal}",
        "",
        ".",
        "..",
        "\udcff.a.b",
        "a" * 8000,
    ]


@pytest.mark.parametrize("token", forged())
def test_what_was_not_signed_here_is_refused(token: str) -> None:
    """Another key, another way to sign, none at all, a claim missing, nonsense: all the same answer."""
    with pytest.raises(UnauthenticatedError, match=r"token\.unknown"):
        TOKENS.read(token, START)


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    """And nothing else happens."""
    with pytest.raises(UnauthenticatedError):
        TOKENS.read(text, START)
    assert TOKENS.read_refresh(text) is None


@given(st.text("0123456789abcdef", min_size=32, max_size=32), st.integers(1, 10**9 - 1))
def test_refresh_tokens_are_made_again_and_recognised(login_id: str, turn: int) -> None:
    """The same for the same turn; one octet more, less or changed is none of ours, nor is one by another key."""
    token = TOKENS.refresh_token(login_id, turn)
    assert token == TOKENS.refresh_token(login_id, turn)
    assert TOKENS.read_refresh(token) == (login_id, turn, digest_of(token))
    for wrong in (token[:-1], token + "A", "0" + token, token.replace(".", ".0", 1), token.swapcase()):
        assert TOKENS.read_refresh(wrong) is None or wrong == token
    assert LoginTokens(bytes(32)).read_refresh(token) is None


def test_api_tokens_hold_256_bits() -> None:
    """After their prefix; no two are the same."""
    randomness = SeededRandomness()
    made = {new_api_token(randomness) for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.urlsafe_b64decode(each.removeprefix("eie_") + "=")) for each in made} == {32}


def test_the_key_stands_in_no_words() -> None:
    """What is logged of the part does not tell it."""
    assert "key" not in repr(TOKENS)
    assert "\\x" not in repr(TOKENS)
