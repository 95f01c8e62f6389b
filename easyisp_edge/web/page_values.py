"""What pages are made of: the shop, the package, ways to pay, news, each already in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from easyisp_edge.domain.claims import Refusal
    from easyisp_edge.web.pay_menu import PayMenu

Phase = Literal["prompted", "unknown", "expired", "connecting"]
Closure = Literal["gateway", "packages"]
ClaimStep = Literal["verifying", "provisional", "credited", "refused", "over", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Shop:
    """Whose portal it is.

    Args:
        title: The shop's name.
        colour: Its own colour, `#rrggbb`.
        support_phone: Whom to call, as it is to be read; None for nobody.
        note: A word of the owner to the customers; None for none.
        logo: The path of its picture; None for none.
    """

    title: str
    colour: str
    support_phone: str | None
    note: str | None
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A package as the customer reads it, already in words.

    Args:
        package_id: Its id.
        name: Its name.
        price: Such as `KES 50`.
        duration: Such as `1 hour`, or `3 hours online, within 7 days`.
        speed: Such as `5 Mbps`.
        data: Such as `1 GB`; None for no limit.
        devices: How many devices may be on at once.
        hours: Such as `Nights 22:00-06:00` with a long dash; None for always.
    """

    package_id: str
    name: str
    price: str
    duration: str
    speed: str
    data: str | None
    devices: int
    hours: str | None = None


@dataclass(frozen=True, slots=True)
class InUse:
    """How much is left of what has a device online.

    Args:
        seconds_left: Time left.
        until: When that is over, or what is left of it lapses, in words.
        lapses: Whether only time online counts, so that `until` is when the rest lapses.
        data_left: Such as `700 MB`; None for no limit.
    """

    seconds_left: int
    until: str
    lapses: bool = False
    data_left: str | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """What whoever looks at a page may do with what the device has, since it is theirs for sure.

    Args:
        holder: The page's own path, which proves it; None where the device is known by where it asks from.
        turn: What the form to pause names the grant by; None for what cannot be paused.
        receipt: The path of the receipt to keep; None for none.
    """

    holder: str | None = None
    turn: str | None = None
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was paid, for the customer to keep; all in words.

    Args:
        amount: How much.
        paid_at: When.
        number: M-Pesa's, where known.
        phone: The number it was paid from, masked, where known.
        until: Until when what it bought can be used; None for used up.
    """

    amount: str
    paid_at: str
    number: str | None = None
    phone: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """A package that comes after the one in use.

    Args:
        name: Its name.
        turn: What the form for it names it by.
        time_left: What is left of it, in words, where it was set aside; None where it has not begun.
        opens: When it may be used, in words, where it is shut at this hour; None where it may begin now.
    """

    name: str
    turn: str
    time_left: str | None = None
    opens: str | None = None


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What the router's own login page is sent, so that the browser can log itself in.

    Args:
        action: Address of the router's login page, from the configuration and never from a request.
        username: The grant's.
        password: The grant's.
        destination: Where the router sends the browser after; browsers hold redirects of a form to the
            `form_targets` of `Pages.csp` too, so it is best the portal's own address.
    """

    action: str
    username: str
    password: str
    destination: str


@dataclass(frozen=True, slots=True)
class Ways:
    """How a package can be paid for.

    Args:
        prompt: By a prompt on the phone.
        menu: From the M-Pesa menu.
        credit: What the customer has in the wallet, where it pays for the package.
    """

    prompt: bool = True
    menu: bool = False
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class PaidShort:
    """Less was paid than the price.

    Args:
        paid: How much.
        price: Of how much.
        menu: How the rest is paid; None where it cannot be paid to the same purchase.
    """

    paid: str
    price: str
    menu: PayMenu | None


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was entered to show a payment, and what was wrong with it.

    Args:
        text: The message or receipt.
        phone: The number it was paid from.
        error: What is wrong, in the page's language.
        phone_wrong: Whether that is about the phone.
    """

    text: str = ""
    phone: str = ""
    error: str | None = None
    phone_wrong: bool = False


@dataclass(frozen=True, slots=True)
class ClaimNews:
    """Where a claim stands, for a customer.

    Args:
        step: What the page shows.
        receipt: What was claimed; None for who only names a device.
        reason: For refused, why.
        credit: For credited, what is in the wallet.
        seconds_left: Of access given until it is decided.
        watched: Whether M-Pesa is asked, rather than the staff.
    """

    step: ClaimStep
    receipt: str | None = None
    reason: Refusal | None = None
    credit: str = ""
    seconds_left: int = 0
    watched: bool = True
