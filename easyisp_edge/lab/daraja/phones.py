"""Phone numbers as Daraja takes them."""

from __future__ import annotations

import re

from easyisp_edge.errors import InvalidError


def is_wire_phone(text: str) -> bool:
    """Whether Daraja takes it: twelve digits, `2547…` or `2541…`."""
    return re.fullmatch(r"254[17][0-9]{8}", text) is not None


def read_phone(text: str) -> str:
    """The wire form of a number as a person at the lab writes it: `0712…`, `+254 712…`, `2547…`.

    Raises:
        InvalidError: It is no Kenyan mobile number.
    """
    found = re.fullmatch(r"(?:\+?254|0)?([17][0-9]{8})", re.sub(r"[\s-]", "", text), re.ASCII)
    if found is None:
        raise InvalidError("lab.phone", f"{text!r:.40} is no phone number such as 0712 345 678.", field="phone")
    return "254" + found[1]
