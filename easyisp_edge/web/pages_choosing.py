"""What a customer sees before anything is bought, as bytes: packages, the phone number, that nothing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from easyisp_edge.web.pages import buy_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.web.page_values import Closure, Offer, Shop, Ways
    from easyisp_edge.web.pages import Pages


def choose_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offers: Sequence[Offer],
    device: str,
    notice: str | None = None,
    credit: str | None = None,
    trial: str | None = None,
    outages: Sequence[str] = (),
    here: str | None = None,
) -> bytes:
    """The packages on offer; above them what the customer has in the wallet, and, as they are, the notices.

    Below them how long a free trial is, and the one box for everything, whose form posts `text`, `d` and `lang`
    to `/find`.
    """
    said: dict[str, Any] = {"notice": notice, "credit": credit, "trial": trial, "outages": outages}
    return pages.render("choose", language, shop, here or f"/?d={device}", device, offers=offers, **said)


def phone_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    device: str,
    key: str,
    ways: Ways,
    phone: str = "",
    error: str | None = None,
    asked: bool = False,
    outages: Sequence[str] = (),
    here: str | None = None,
) -> bytes:
    """The question for the phone number.

    The form posts `package`, `d`, `lang`, `key` and `phone` to `/buy`, and `prompt=no` to pay from the menu;
    that for the credit posts the same without a phone to `/credit`. `phone` and `error` are what was typed
    before and what was wrong with it, in the page's language. Where the device has a phone `asked` already, the page
    that waits for that is one tap away.
    """
    return pages.render(
        "phone",
        language,
        shop,
        here or buy_link(offer, device),
        device,
        offer=offer,
        key=key,
        ways=ways,
        phone=phone,
        error=error,
        asked=asked,
        outages=outages,
    )


def closed_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    why: Closure,
    device: str = "",
    trial: str | None = None,
    here: str | None = None,
) -> bytes:
    """That nothing can be bought: M-Pesa is not set up, or there are no packages.

    Below it what works all the same: a free trial, and the one box.
    """
    return pages.render(
        "closed",
        language,
        shop,
        here or f"/?d={device}",
        device,
        text=pages.texts.get(language, f"closed.{why}"),
        trial=trial,
    )


def error_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    status: int,
    message: str | None = None,
    device: str = "",
    here: str | None = None,
) -> bytes:
    """What went wrong, by HTTP status; `message` says it better where something better is known."""
    kind = _error_kind(status)
    return pages.render(
        "error",
        language,
        shop,
        here or f"/?d={device}",
        device,
        title=pages.texts.get(language, f"error.{kind}_title"),
        text=message or pages.texts.get(language, f"error.{kind}_text"),
    )


def _error_kind(status: int) -> str:
    return {404: "missing", 429: "busy"}.get(status, "bad" if status < 500 else "broken")  # noqa: PLR2004
