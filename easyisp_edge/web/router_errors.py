"""What a router says went wrong with a login, in the customer's words.

It comes in the address of the first page, which anybody can write: it says something, and leads nowhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.web.texts import Texts

# Longer than any text of the router's own; what is longer is not looked at.
_LENGTH_MAX = 200
_QUOTED_LENGTH_MAX = 80
# Source: RouterOS, Hotspot customisation (errors.txt). None is worth a word: who is not logged in reads this page.
_MEANINGS: tuple[tuple[str, str | None], ...] = (
    (r"no more sessions are allowed for user .*", "rejects.devices_full"),
    (r"session limit reached( .*)?", "router_said.full"),
    (r"cannot assign ip address.*", "router_said.full"),
    (r"invalid username \(.*\): this mac address is not yours", "rejects.other_device"),
    (r"user .* is not allowed to log in from this mac address", "rejects.other_device"),
    (r"invalid (username or password|password|username .*)", "router_said.wrong_login"),
    (r"this otp token is already used", "router_said.wrong_login"),
    (r"user .* has reached uptime limit", "rejects.time_up"),
    (r"user .* has reached traffic limit", "rejects.data_up"),
    (r"radius server is not responding", "router_said.silent"),
    (r"already authorizing.*", "router_said.busy"),
    (r"web browser did not send challenge response.*", "router_said.again"),
    (r"(internal error|configuration error|hotspot service is shutting down).*", "router_said.broken"),
    (r"you are not logged in.*", None),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), key) for pattern, key in _MEANINGS)
# Plain words are quoted; a number to pay to, an address to go to, or signs that turn the line round are not.
_PLAIN = re.compile(r"(?!.*[0-9](?: ?[0-9]){4})(?!.*\w\.[^\W\d_])[\w ,.:;!?()'\u2019-]+")

# What the texts of this module are called, beside those for logins.
ROUTER_SAID = ("wrong_login", "full", "silent", "busy", "again", "broken", "quote", "unclear")


def router_error(texts: Texts, language: str, query: Mapping[str, str]) -> str | None:
    """What to tell the customer of `error` and `error-orig` in a hand-over; None where there is nothing to tell.

    What we know is said in the page's language, be it the router's own text or what we answered it by RADIUS. Anything
    else is quoted, shortened, where it is plain words, and else not repeated.
    """
    said = [_one_line(query.get(name, "")) for name in ("error-orig", "error")]
    told = [text for text in said if text]
    if not told:
        return None
    for text in told:
        for pattern, key in _COMPILED:
            if pattern.fullmatch(text):
                return None if key is None else texts.get(language, key)
    ours = next((key for text in told if (key := texts.key_of("rejects.", text)) is not None), None)
    return texts.get(language, ours) if ours is not None else _quoted(texts, language, told[-1])


def _quoted(texts: Texts, language: str, text: str) -> str:
    if _PLAIN.fullmatch(text) is None:
        return texts.get(language, "router_said.unclear")
    short = text if len(text) <= _QUOTED_LENGTH_MAX else f"{text[: _QUOTED_LENGTH_MAX - 1].rstrip()}…"
    return texts.get(language, "router_said.quote", text=short)


def _one_line(text: str) -> str:
    return " ".join(text[:_LENGTH_MAX].split())
