"""What becomes of a prompt, in Daraja's result codes."""

from __future__ import annotations

from dataclasses import dataclass

PAID = "0"
NO_MONEY = "1"
ABOVE_MAXIMUM = "3"
DAILY_LIMIT = "4"
RULE_LIMITED = "17"
PROMPT_TOO_LONG = "1025"
CANCELLED = "1032"
UNREACHABLE = "1037"
WRONG_PIN = "2001"
STILL_PROCESSING = "4999"

_DESCRIPTIONS = {
    PAID: "The service request is processed successfully.",
    NO_MONEY: "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    ABOVE_MAXIMUM: "Declined due to limit rule: greater than the maximum transaction amount.",
    DAILY_LIMIT: "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The debit party is in an invalid state.",
    "12": "The credit party is in an invalid state.",
    "15": "Duplicate Detected",
    RULE_LIMITED: "Rule limited.",
    "26": "System busy. Traffic blocking condition in place.",
    "1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    "1019": "Transaction has expired.",
    PROMPT_TOO_LONG: "An error occurred while sending a push request",
    "1031": "Request cancelled by user",
    CANCELLED: "Request cancelled by user",
    "1036": "[STK_CB - ]SMSC ACK timeout.",
    UNREACHABLE: "DS timeout user cannot be reached",
    WRONG_PIN: "The initiator information is invalid.",
    "2006": "Declined due to account rule.",
    "2028": "The request is not permitted according to product assignment.",
    "2029": "The request is not permitted according to product assignment.",
    "2040": "Credit Party customer type can't be supported by the service.",
    STILL_PROCESSING: "The transaction is still under processing",
    "8006": "The security credential is locked.",
    "9999": "Request failed",
    "SFC_IC0003": "The operator does not exist.",
    "E3008": "Error, the user has a bad debt contract.",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A result code with its text."""

    code: str
    description: str

    @classmethod
    def of(cls, code: str, description: str = "") -> Result:
        """The code with Daraja's own text for it, unless another is given."""
        return cls(code, description or _DESCRIPTIONS.get(code, "The request could not be completed."))

    @property
    def paid(self) -> bool:
        """Whether money moved."""
        return self.code == PAID

    @property
    def callback_code(self) -> int | str:
        """As callbacks write it: a number, or text where it is no number."""
        return int(self.code) if self.code.isascii() and self.code.isdigit() else self.code
