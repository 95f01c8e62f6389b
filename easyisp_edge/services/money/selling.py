"""Whether anything is sold now: not while this box takes back from its hub what it no longer knows."""

from __future__ import annotations

from dataclasses import dataclass

from easyisp_edge.errors import UnavailableError

_MINUTE = 60.0


@dataclass(slots=True)
class Selling:
    """Asked by whatever gives somebody something for money, a voucher, credit or nothing.

    Args:
        rests: Whether nothing is sold. Who is online stays so, logins go on, and money that comes in is kept.
    """

    rests: bool = False

    def refuse_while_resting(self) -> None:
        """See that things are sold.

        Raises:
            UnavailableError: `sales.rest`: not for the moment.
        """
        if self.rests:
            message = "Sales rest for a moment. What you have works on; please try again in a few minutes."
            raise UnavailableError("sales.rest", message, retry_after_seconds=_MINUTE)
