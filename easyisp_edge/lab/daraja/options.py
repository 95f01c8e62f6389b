"""How this Daraja is set up as a whole."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from easyisp_edge.errors import InvalidError
from easyisp_edge.lab.daraja.behaviour import PENDING_SHAPES, Behaviour, QueryAnswer
from easyisp_edge.lab.daraja.c2b_handling import C2bHandling
from easyisp_edge.lab.daraja.faults import ErrorKeys, Fault
from easyisp_edge.lab.daraja.pull_handling import PullHandling
from easyisp_edge.lab.daraja.status_handling import StatusHandling


class CallbackUrlRules(enum.StrEnum):
    """How closely a push's `CallBackURL` is looked at."""

    STRICT = "strict"  # Safaricom's rules; plain HTTP and private addresses on loopback only
    LOOSE = "loose"  # any http or https address with a host


@dataclass(frozen=True, slots=True)
class DarajaOptions:
    """The lab's settings; the defaults are the real thing's manners as far as they are known.

    Args:
        right_pin: Every phone's M-Pesa PIN.
        starting_balance_shillings: On every phone nobody set a balance for.
        prompt_life_seconds: Then the prompt is gone, with result 1037.
        refusal_after_seconds: How late a push that never reaches the phone gets its result.
        rule_limit_seconds: The same amount to the same phone within this time ends in result 17; None: never.
        pending_shape: What a query says while the payer has not decided.
        fresh_id_unknown_seconds: How long a new CheckoutRequestID is not yet known to the query.
        queryable_seconds: How long it is known; None: for ever.
        queries_per_minute: The query's throttle per app, evenly spread, burst 1; None: off.
        token_life_seconds: One second less is what the token answer says.
        new_token_ends_earlier: Whether a new token ends the app's earlier ones.
        dead_token: What an API call with a dead token is answered.
        error_keys: How the error envelope spells its keys.
        callback_url_rules: How closely `CallBackURL` is looked at.
        account_reference_length_max: In characters.
        behaviour: Of every push nothing else is chosen for.
        pull: How the Pull API behaves.
        c2b: How the C2B API and its notices behave.
        status: How the Transaction Status API behaves.
        qr_conversation_id: A picture's `ResponseCode` is a conversation id instead of 00.
        till_sms_masks_phone: A till owner's message hides the middle of the payer's number.
    """

    right_pin: str = "1234"
    starting_balance_shillings: int = 5_000
    prompt_life_seconds: float = 60.0
    refusal_after_seconds: float = 1.0
    rule_limit_seconds: float | None = 120.0
    pending_shape: QueryAnswer = QueryAnswer.PENDING_ERROR
    fresh_id_unknown_seconds: float = 0.0
    queryable_seconds: float | None = None
    queries_per_minute: int | None = 5
    token_life_seconds: float = 3600.0
    new_token_ends_earlier: bool = False
    dead_token: Fault = Fault.INVALID_ACCESS
    error_keys: ErrorKeys = ErrorKeys.CAMEL
    callback_url_rules: CallbackUrlRules = CallbackUrlRules.STRICT
    account_reference_length_max: int = 12
    behaviour: Behaviour = field(default_factory=Behaviour)
    pull: PullHandling = field(default_factory=PullHandling)
    c2b: C2bHandling = field(default_factory=C2bHandling)
    status: StatusHandling = field(default_factory=StatusHandling)
    qr_conversation_id: bool = False
    till_sms_masks_phone: bool = False

    def __post_init__(self) -> None:
        if self.pending_shape not in PENDING_SHAPES:
            raise InvalidError("lab.pending_shape", f"{self.pending_shape.value!r} is no shape of a pending answer.")

    @classmethod
    def unhurried(cls, behaviour: Behaviour | None = None) -> DarajaOptions:
        """Without rule limit, query throttle or delay: for tests of something else."""
        return cls(
            rule_limit_seconds=None,
            queries_per_minute=None,
            refusal_after_seconds=0.0,
            behaviour=behaviour or Behaviour(),
        )
