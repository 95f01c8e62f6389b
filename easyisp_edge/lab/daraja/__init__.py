"""A stand-in for Safaricom's Daraja that speaks its wire protocol, oddities included.

One port is the wire and holds nothing unreal; another is the customers' phones and the controls. Each API has
a file of its own (`oauth`, `stk_push`, `stk_query`).
"""

from easyisp_edge.lab.daraja.behaviour import (
    BalanceItem,
    Behaviour,
    CallbackHandling,
    Payer,
    PhoneItem,
    QueryAnswer,
    QueryHandling,
)
from easyisp_edge.lab.daraja.faults import ErrorKeys, Fault
from easyisp_edge.lab.daraja.lab import DarajaLab
from easyisp_edge.lab.daraja.ledger import AcceptedPush, CallbackSent, Debit, Push, Sms
from easyisp_edge.lab.daraja.merchants import (
    CO_OP,
    EQUITY,
    KCB,
    SANDBOX_MERCHANT,
    SANDBOX_PASSKEY,
    SANDBOX_SHORT_CODE,
    Bank,
    Merchant,
    MerchantKind,
)
from easyisp_edge.lab.daraja.options import CallbackUrlRules, DarajaOptions
from easyisp_edge.lab.daraja.prompts import Prompt
from easyisp_edge.lab.daraja.results import Result

__all__ = [
    "CO_OP",
    "EQUITY",
    "KCB",
    "SANDBOX_MERCHANT",
    "SANDBOX_PASSKEY",
    "SANDBOX_SHORT_CODE",
    "AcceptedPush",
    "BalanceItem",
    "Bank",
    "Behaviour",
    "CallbackHandling",
    "CallbackSent",
    "CallbackUrlRules",
    "DarajaLab",
    "DarajaOptions",
    "Debit",
    "ErrorKeys",
    "Fault",
    "Merchant",
    "MerchantKind",
    "Payer",
    "PhoneItem",
    "Prompt",
    "Push",
    "QueryAnswer",
    "QueryHandling",
    "Result",
    "Sms",
]
