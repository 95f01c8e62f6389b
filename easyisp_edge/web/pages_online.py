"""What a customer sees of what is bought, as bytes: on by it, off by it, or not at this hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.web.page_values import InUse, Next, Offer, Own, Shop
    from easyisp_edge.web.pages import Pages

_REFRESH_SECONDS = 60


def online_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    in_use: InUse,
    receipt: str | None,
    device: str,
    poll_url: str,
    after: Sequence[Next] = (),
    own: Own | None = None,
    outages: Sequence[str] = (),
    here: str | None = None,
) -> bytes:
    """That the device is online, for how long, by which receipt, and what comes after.

    What may begin at once has a form that posts `turn`, `d` and `lang` to `/switch`. Whose `own` it is has forms
    that post `h`, `d` and `lang` to `/off`, and `turn` beside them to `/pause`.
    """
    return pages.render(
        "online",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        step="online",
        in_use=in_use,
        after=after,
        own=own,
        outages=outages,
        receipt=receipt,
        poll_url=poll_url,
        refresh_seconds=_REFRESH_SECONDS,
        **pages.countdown(language, in_use.seconds_left),
    )


def shut_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    opens: str,
    seconds_to_go: int,
    receipt: str | None,
    device: str,
    poll_url: str,
    here: str | None = None,
) -> bytes:
    """That what was bought may not be used at this hour, and when it may."""
    return pages.render(
        "shut",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        step="shut",
        opens=opens,
        receipt=receipt,
        poll_url=poll_url,
        refresh_seconds=_REFRESH_SECONDS,
        **pages.countdown(language, seconds_to_go),
    )


def off_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    device: str,
    offer: Offer,
    seconds_left: int,
    stands: bool,
    own: Own | None,
    poll_url: str,
    outages: Sequence[str] = (),
    here: str | None = None,
) -> bytes:
    """That the device is off because its owner wants that, and how to be on again.

    `stands` says whether time left stands still meanwhile. Whose `own` it is has a form that posts `h`, `d` and `lang`
    to `/on`.
    """
    return pages.render(
        "off",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        stands=stands,
        own=own,
        outages=outages,
        step="off",
        poll_url=poll_url,
        refresh_seconds=_REFRESH_SECONDS,
        **pages.countdown(language, seconds_left),
    )
