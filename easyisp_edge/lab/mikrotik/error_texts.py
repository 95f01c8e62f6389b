"""The hotspot's error texts: their keys, and the owner's own wording in `errors.txt`.

Source: RouterOS manual, Hotspot customisation (errors.txt).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from easyisp_edge.lab.mikrotik.page_language import render

if TYPE_CHECKING:
    from collections.abc import Callable

NO_CHAP_ANSWER = "web browser did not send challenge response (try again, enable JavaScript)"
FATAL = frozenset({"internal-error", "config-error", "ippool-empty", "shutting-down"})
_PATTERNS = {
    "internal-error": r"internal error \(.*\)",
    "config-error": r"configuration error \(.*\)",
    "not-logged-in": r"you are not logged in \(ip .*\)",
    "ippool-empty": r"cannot assign ip address - no more free addresses from pool",
    "shutting-down": r"hotspot service is shutting down",
    "user-session-limit": r"no more sessions are allowed for user .*",
    "license-session-limit": r"session limit reached \(.*\)",
    "wrong-mac-username": r"invalid username \(.*\): this MAC address is not yours",
    "chap-missing": re.escape(NO_CHAP_ANSWER),
    "invalid-username": r"invalid username or password",
    "otp-already-used": r"this OTP token is already used",
    "invalid-mac": r"user .* is not allowed to log in from this MAC address",
    "uptime-limit": r"user .* has reached uptime limit",
    "traffic-limit": r"user .* has reached traffic limit",
    "radius-timeout": r"RADIUS server is not responding",
    "auth-in-progress": r"already authorizing, retry later",
}


def error_key(text: str) -> str:
    """The key of an error's usual text; what is none of them came by RADIUS."""
    return next((key for key, pattern in _PATTERNS.items() if re.fullmatch(pattern, text, re.DOTALL)), "radius-reply")


def own_wording(errors_txt: str, key: str, value: Callable[[str], str]) -> str | None:
    """The text that `errors.txt` has for a key, variables put in; None where it has none."""
    for line in errors_txt.splitlines():
        name, equals, wording = line.partition("=")
        if equals and name.strip() == key:
            return render(wording.strip(), value).text
    return None
