"""Alarms in people's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Final[Mapping[str, str]] = {
    "ask.foreign": "asked about a short code that is not this site's",
    "ask.often": "asked about too many receipts",
    "behind": "the box knew less than the hub: a restored card, or a new box",
    "box": "the box says that something is wrong",
    "box.config.old": "the box had a newer configuration, and does not use the one published: publish it again",
    "box.config.refused": "the box cannot use the configuration that was published",
    "box.config.withdrawn": "the box went back to the configuration before",
    "box.forged": "answers came to the box that are not this hub's",
    "box.fork.refused": "the box has what cannot stand beside what the hub knows: decide by hand",
    "box.lost": "events are gone on the box that the hub lacks",
    "box.message": "the box could not use a message",
    "callback.flood": "too many callbacks",
    "callback.full": "callbacks are refused: too many wait for a box that does not come",
    "callback.unknown": "a callback to an address of no site",
    "config.sealed": "its configuration cannot be opened",
    "counter.used": "a request came twice",
    "down.ahead": "the box had messages this hub never sent: the hub's database was restored",
    "enrol": "a wrong, used or old code",
    "epoch": "a request from before the box began anew",
    "epoch.new": "the box began anew",
    "fleet.refused": "a wrong token for these pages",
    "fork": "box and hub know the same number differently",
    "fork.full": "the box sends more lines of a fork than are kept",
    "gap": "events are missing: the box sends them again",
    "mpesa.refused": "M-Pesa refused a look-up: see the initiator, its rights and its password",
    "parked": "an event no hub could take",
    "projection": "an event of which no rows could be made",
    "receipt.elsewhere": "asked about money that another site has",
    "result.unknown": "a result that nobody had asked for",
    "signature": "a request with a wrong signature",
    "site.closed": "the box of a closed site still asks",
    "site.replaced": "a box that was replaced, or a copy of a card from before its key changed, still asks",
    "unsigned": "a request without a signature",
}


def in_words(kind: str) -> str:
    """What an alarm says; of one this release has no words for, its kind."""
    return _WORDS.get(kind, kind)
