"""A stand-in for Safaricom's Daraja that speaks its wire protocol, oddities included.

One port is the wire and holds nothing unreal; another is the customers' phones and the controls. Each API has
a file of its own (`oauth`, `stk_push`, `stk_query`, `pull`, `c2b`, `dynamic_qr`,
`transaction_status`); customers can also pay on their own
from the menu of their phones (`menu`).
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
from easyisp_edge.lab.daraja.c2b_handling import (
    C2bHandling,
    C2bVersion,
    NoticeHandling,
    RegisteredUrls,
    ResponseType,
)
from easyisp_edge.lab.daraja.faults import ErrorKeys, Fault
from easyisp_edge.lab.daraja.lab import DarajaLab
from easyisp_edge.lab.daraja.ledger import (
    AcceptedPush,
    CallbackSent,
    Debit,
    NoticeSent,
    Push,
    Reversal,
    Settlement,
    Sms,
)
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
from easyisp_edge.lab.daraja.pull_handling import (
    EmptyForm,
    PullHandling,
    PullMethods,
    PullMsisdn,
    TillRows,
    TrxZone,
)
from easyisp_edge.lab.daraja.receivers import NoApiMerchant, Receiver, ReceiverKind
from easyisp_edge.lab.daraja.results import Result
from easyisp_edge.lab.daraja.status_handling import StatusDelivery, StatusHandling
from easyisp_edge.lab.daraja.subscribers import Language
from easyisp_edge.lab.daraja.transaction_status import StatusAsked

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
    "C2bHandling",
    "C2bVersion",
    "CallbackHandling",
    "CallbackSent",
    "CallbackUrlRules",
    "DarajaLab",
    "DarajaOptions",
    "Debit",
    "EmptyForm",
    "ErrorKeys",
    "Fault",
    "Language",
    "Merchant",
    "MerchantKind",
    "NoApiMerchant",
    "NoticeHandling",
    "NoticeSent",
    "Payer",
    "PhoneItem",
    "Prompt",
    "PullHandling",
    "PullMethods",
    "PullMsisdn",
    "Push",
    "QueryAnswer",
    "QueryHandling",
    "Receiver",
    "ReceiverKind",
    "RegisteredUrls",
    "ResponseType",
    "Result",
    "Reversal",
    "Settlement",
    "Sms",
    "StatusAsked",
    "StatusDelivery",
    "StatusHandling",
    "TillRows",
    "TrxZone",
]
