"""What a customer sees of a payment, as bytes: it is waited for, made from the menu, failed, or claimed by receipt."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from easyisp_edge.domain.mpesa_messages import PASTED_LENGTH_MAX
from easyisp_edge.domain.payments import Reason
from easyisp_edge.web.page_values import Pasted
from easyisp_edge.web.pages import paid_link
from easyisp_edge.web.templates import NO_BREAK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easyisp_edge.web.page_values import ClaimNews, LoginForm, Offer, PaidShort, Phase, Shop
    from easyisp_edge.web.pages import Pages
    from easyisp_edge.web.pay_menu import PayMenu

# How long the page says the prompt stays open: what most handsets give it.
PROMPT_SHOWN_SECONDS = 60
# When a prompt that has not come by then most likely needs the phone's owner to do something.
HINT_AFTER_SECONDS = 20
# Without script the page loads itself anew.
_REFRESH_WAITING_SECONDS = 4
_REFRESH_OFFERED_SECONDS = 15  # somebody is reading numbers off it
_REFRESH_FAILED_SECONDS = 15


def waiting_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    phase: Phase,
    phone_masked: str,
    seconds_waited: float,
    poll_url: str,
    menu: PayMenu | None = None,
    login_form: LoginForm | None = None,
    outages: Sequence[str] = (),
    paid: bool = True,
    device: str = "",
    here: str | None = None,
) -> bytes:
    """What is being waited for: the PIN, news of a lost push, late news, or the router.

    Until the money is in, `menu` is the other way to pay; where the prompt should come, the page names it, and what
    to do where no prompt has come, only after some seconds. Who is being connected and has not `paid` for it just now,
    by a voucher or for free, is not thanked for money.
    """
    said = functools.partial(pages.texts.get, language)
    words = "waiting.given" if phase == "connecting" and not paid else f"waiting.{phase}"
    hint_after = max(0, HINT_AFTER_SECONDS - int(seconds_waited))
    left = max(0, PROMPT_SHOWN_SECONDS - int(seconds_waited)) if phase == "prompted" else 0
    return pages.render(
        "waiting",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        phase=phase,
        step=phase,
        title=said(f"{words}.title"),
        text=said(f"{words}.text", phone=phone_masked.replace(" ", NO_BREAK)),
        paid_for=paid,
        poll_url=poll_url,
        menu=menu,
        menu_title=said("menu.late" if phase == "expired" else "menu.title"),
        menu_number=_number_called(pages, language, menu),
        login_form=login_form,
        outages=outages,
        hint_after=hint_after,
        # While the prompt is about to come, another way to pay would only lead to paying twice.
        menu_after=hint_after if phase == "prompted" and not outages else 0,
        refresh_seconds=_REFRESH_WAITING_SECONDS,
        **pages.countdown(language, left),
    )


def offered_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    menu: PayMenu | None,
    poll_url: str,
    outages: Sequence[str] = (),
    device: str = "",
    here: str | None = None,
) -> bytes:
    """How to pay from the M-Pesa menu, step by step; None where the gateway is no longer there to be paid."""
    return pages.render(
        "offered",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        step="offered",
        menu=menu,
        menu_number=_number_called(pages, language, menu),
        first="" if menu is None else pages.texts.get(language, f"menu.open_{menu.kind}"),
        poll_url=poll_url,
        outages=outages,
        refresh_seconds=_REFRESH_OFFERED_SECONDS,
    )


def failed_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    offer: Offer,
    reason: Reason | None,
    device: str,
    poll_url: str,
    short: PaidShort | None = None,
    here: str | None = None,
) -> bytes:
    """Why the payment did not come about and what to do next; None is for reasons nobody told."""
    key = f"reasons.{reason.value if reason else 'unknown'}"
    return pages.render(
        "failed",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        step="failed",
        title=pages.texts.get(language, f"{key}.title"),
        text=pages.texts.get(language, f"{key}.text"),
        # Where the money is here, a second payment of the whole helps nobody.
        again=reason not in {Reason.WRONG_AMOUNT, Reason.PAID_SHORT},
        short=short,
        menu=None if short is None else short.menu,
        menu_title=pages.texts.get(language, "menu.rest"),
        menu_number=_number_called(pages, language, None if short is None else short.menu),
        poll_url=poll_url,
        refresh_seconds=_REFRESH_FAILED_SECONDS,
    )


def paid_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    device: str,
    key: str,
    needs_phone: bool,
    package_id: str | None = None,
    pasted: Pasted | None = None,
    understood: str | None = None,
    here: str | None = None,
) -> bytes:
    """The question for the receipt of what is paid already; `understood` is what was typed before taken for.

    The form posts `text`, `phone`, `package`, `d`, `lang` and `key` to `/paid`; a phone must be told where the
    device is not known.
    """
    return pages.render(
        "paid",
        language,
        shop,
        here or paid_link(package_id, device),
        device,
        key=key,
        needs_phone=needs_phone,
        package_id=package_id,
        pasted=pasted or Pasted(),
        understood=understood,
        text_length_max=PASTED_LENGTH_MAX,
    )


def claim_page(
    pages: Pages,
    *,
    language: str,
    shop: Shop,
    news: ClaimNews,
    offer: Offer | None,
    device: str,
    poll_url: str,
    login_form: LoginForm | None = None,
    understood: str | None = None,
    outages: Sequence[str] = (),
    here: str | None = None,
) -> bytes:
    """What came of a claim, or that it is still looked for; `offer` is what is wanted for it.

    `understood` is what the text was taken for that led here.
    """
    looking = news.step in {"verifying", "provisional"}
    title, text = _claim_words(pages, language, news)
    return pages.render(
        "claim",
        language,
        shop,
        here or f"/?d={device}",
        device,
        offer=offer,
        news=news,
        looking=looking,
        understood=understood,
        outages=outages,
        step=news.step,
        title=title,
        text=text,
        login_form=login_form,
        poll_url=poll_url if looking else None,
        refresh_seconds=_REFRESH_WAITING_SECONDS if looking else 0,
        **pages.countdown(language, news.seconds_left),
    )


def _number_called(pages: Pages, language: str, menu: PayMenu | None) -> str:
    return "" if menu is None else pages.texts.get(language, f"menu.{menu.kind}")


def _claim_words(pages: Pages, language: str, news: ClaimNews) -> tuple[str, str]:
    key = f"refused.{news.reason}" if news.step == "refused" else f"claim.{news.step}"
    text = "staff" if news.step == "verifying" and not news.watched else "text"
    return (
        pages.texts.get(language, f"{key}.title"),
        pages.texts.get(language, f"{key}.{text}", amount=news.credit.replace(" ", NO_BREAK)),
    )
