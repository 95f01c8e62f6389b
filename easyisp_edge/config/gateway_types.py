"""The words `gateways.toml` has for kinds of gateway."""

import enum


class GatewayType(enum.StrEnum):
    """How a gateway is spoken to. Part of the HTTP contract."""

    MPESA_API = "MPESA_API"
    MPESA_NO_API = "MPESA_NO_API"  # money arrives, and nothing tells the box: people or central check receipts


class SubType(enum.StrEnum):
    """Where a gateway's money lands. Part of the HTTP contract."""

    PAYBILL = "PAYBILL"
    BUYGOODS = "BUYGOODS"
    BANK = "BANK"


class Environment(enum.StrEnum):
    """Which of Safaricom's two worlds; keys of one are worth nothing in the other."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


class GatewaySource(enum.StrEnum):
    """Where a gateway comes from; the values are what people are told."""

    FILE = "gateways.toml"
    ENVIRONMENT = "environment"  # the old deployment's variables
    STORE = "store"  # people made it at the back office


# The secrets that prove a gateway's pushes to be its owner's.
KEYS = ("consumer_key", "consumer_secret", "passkey")
