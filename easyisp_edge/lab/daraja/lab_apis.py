"""How the APIs beside STK behave, as far as a script decides it: Pull, C2B, Dynamic QR, Transaction Status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyisp_edge.lab.daraja.c2b import C2b
    from easyisp_edge.lab.daraja.c2b_handling import C2bHandling, C2bRegister, NoticeHandling, RegisteredUrls
    from easyisp_edge.lab.daraja.dynamic_qr import DynamicQr
    from easyisp_edge.lab.daraja.faults import Fault
    from easyisp_edge.lab.daraja.ledger import Ledger, NoticeSent
    from easyisp_edge.lab.daraja.pull import Pull
    from easyisp_edge.lab.daraja.pull_handling import PullHandling
    from easyisp_edge.lab.daraja.status_handling import StatusHandling
    from easyisp_edge.lab.daraja.transaction_status import StatusAsked, TransactionStatus


class LabApis:
    """The part of the lab that steers them; answers in store are used up one a request, None being no fault."""

    _ledger: Ledger
    _pull: Pull
    _c2b: C2b
    _c2b_register: C2bRegister
    _dynamic_qr: DynamicQr
    _status: TransactionStatus

    def set_pull(self, handling: PullHandling) -> None:
        """How Pull behaves from now on."""
        self._pull.handling = handling

    def next_pull_answers(self, *faults: Fault | None) -> None:
        """What the next Pull requests get, registrations and queries alike."""
        self._pull.faults.extend(*faults)

    @property
    def pull_registered(self) -> set[str]:
        """The short codes Pull may be asked about; add to it, or take from it, as Safaricom might."""
        return self._pull.registered

    def set_c2b(self, handling: C2bHandling) -> None:
        """How C2B behaves from now on."""
        self._c2b_register.handling = handling

    def next_c2b_answers(self, *faults: Fault | None) -> None:
        """What the next registrations of addresses get."""
        self._c2b.faults.extend(*faults)

    def next_notices(self, *handlings: NoticeHandling) -> None:
        """What becomes of the confirmations of the next payments, one each: lost, late, twice."""
        self._c2b_register.next_notices.extend(handlings)

    @property
    def notices(self) -> list[NoticeSent]:
        """Every try to deliver a C2B notification that has ended."""
        return self._ledger.notices

    @property
    def c2b_urls(self) -> list[RegisteredUrls]:
        """The addresses registered now."""
        return list(self._c2b_register.urls.values())

    def forget_c2b_urls(self, short_code: str) -> None:
        """Take a short code's addresses out, as its owner does in the portal.

        Raises:
            NotFoundError: It has none.
        """
        self._c2b_register.forget(short_code)

    def next_qr_answers(self, *faults: Fault | None) -> None:
        """What the next requests for a picture get."""
        self._dynamic_qr.faults.extend(*faults)

    def set_status(self, handling: StatusHandling) -> None:
        """How Transaction Status behaves from now on."""
        self._status.handling = handling

    def next_status_answers(self, *faults: Fault | None) -> None:
        """What the next look-ups of a receipt get instead of being taken."""
        self._status.faults.extend(*faults)

    @property
    def status_asked(self) -> list[StatusAsked]:
        """The look-ups that were taken."""
        return self._status.asked
