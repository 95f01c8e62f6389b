"""The pages beside the main way, as bytes: the one box, vouchers, another device, receipts, problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easyisp_edge.domain.vouchers import grouped
from easyisp_edge.services.portal.problems import TEXT_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.web.page_values import Offer, Receipt, Shop
    from easyisp_edge.web.pages import Pages


def box_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    device: str,
    title: str,
    text: str = "",
    typed: str = "",
    wrong: str | None = None,
) -> bytes:
    """What the one box took a text for, where that led nowhere, and the box again; `wrong` is what to mend."""
    said = {"title": title, "text": text, "typed": typed, "wrong": wrong}
    return pages.render("box", language, shop, f"/?d={device}", device, **said)


def voucher_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    device: str,
    code: str,
    offer: Offer | None,
    known: bool,
    moves: bool = False,
    outages: Sequence[str] = (),
    router_login: str | None = None,
    comes_back: str = "",
) -> bytes:
    """The question whether to use a voucher: looking at it must not use it up.

    The form posts `code`, `d` and `lang` to `/voucher`, and `move=yes` where it `moves` from another device. Where the
    device is not `known`, the router is asked which one it is: its login page sends the browser back with that.
    """
    path = f"/v/{code}"
    return pages.render(
        "voucher",
        language,
        shop,
        f"{path}?d={device}",
        device,
        code=grouped(code),
        offer=offer,
        known=known,
        moves=moves,
        outages=outages,
        router_login=router_login,
        comes_back=comes_back,
    )


def same_page(
    pages: Pages, *, language: str, shop: Shop, device: str, offer: Offer, holder: str, wrong: str | None = None
) -> bytes:
    """The question whether what was bought is to be used on this device; the form posts `h`, `d`, `lang` to `/here`."""
    here = f"{holder}?d={device}"
    return pages.render("same", language, shop, here, device, offer=offer, holder=holder, wrong=wrong)


def receipt_page(
    pages: Pages, *, language: str, shop: Shop, device: str, offer: Offer, receipt: Receipt, holder: str
) -> bytes:
    """What was paid for what, to be kept."""
    here = f"{holder}/receipt"
    return pages.render("receipt", language, shop, here, device, offer=offer, receipt=receipt, holder=holder)


def problem_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    device: str,
    sent: bool,
    typed: str = "",
    wrong: str | None = None,
    office_away: bool = False,
) -> bytes:
    """The question what is wrong, or thanks for having said it; the form posts `text`, `d` and `lang` to `/problem`.

    `office_away` says that the central server cannot be reached: nothing else tells customers of that.
    """
    said = {"sent": sent, "typed": typed, "wrong": wrong, "office_away": office_away}
    here = f"/problem?d={device}"
    return pages.render("problem", language, shop, here, device, **said, text_length_max=TEXT_LENGTH_MAX)
