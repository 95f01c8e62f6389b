"""Numbers of packets and attributes, named as RADIUS names them.

Source: RFC 2865, 2866, 2869, 3579, 5997; RFC 2548 (vendor 311); MikroTik, RADIUS (vendor 14988).
"""

from __future__ import annotations

from typing import Final

# Packet codes
ACCESS_REQUEST: Final = 1
ACCESS_ACCEPT: Final = 2
ACCESS_REJECT: Final = 3
ACCOUNTING_REQUEST: Final = 4
ACCOUNTING_RESPONSE: Final = 5
STATUS_SERVER: Final = 12

# Attributes
USER_NAME: Final = 1
USER_PASSWORD: Final = 2
CHAP_PASSWORD: Final = 3
NAS_IP_ADDRESS: Final = 4
NAS_PORT: Final = 5
SERVICE_TYPE: Final = 6
FRAMED_PROTOCOL: Final = 7
FRAMED_IP_ADDRESS: Final = 8
FRAMED_IP_NETMASK: Final = 9
REPLY_MESSAGE: Final = 18
STATE: Final = 24
CLASS: Final = 25
VENDOR_SPECIFIC: Final = 26
SESSION_TIMEOUT: Final = 27
CALLED_STATION_ID: Final = 30
CALLING_STATION_ID: Final = 31
NAS_IDENTIFIER: Final = 32
PROXY_STATE: Final = 33
ACCT_STATUS_TYPE: Final = 40
ACCT_INPUT_OCTETS: Final = 42
ACCT_OUTPUT_OCTETS: Final = 43
ACCT_SESSION_ID: Final = 44
ACCT_SESSION_TIME: Final = 46
ACCT_TERMINATE_CAUSE: Final = 49
ACCT_INPUT_GIGAWORDS: Final = 52
ACCT_OUTPUT_GIGAWORDS: Final = 53
CHAP_CHALLENGE: Final = 60
NAS_PORT_TYPE: Final = 61
PORT_LIMIT: Final = 62
EAP_MESSAGE: Final = 79
MESSAGE_AUTHENTICATOR: Final = 80
ACCT_INTERIM_INTERVAL: Final = 85
NAS_PORT_ID: Final = 87
FRAMED_POOL: Final = 88
NAS_IPV6_ADDRESS: Final = 95

# Attributes of MikroTik
MIKROTIK: Final = 14988
MIKROTIK_RATE_LIMIT: Final = 8
MIKROTIK_TOTAL_LIMIT: Final = 17
MIKROTIK_TOTAL_LIMIT_GIGAWORDS: Final = 18

# Attributes of Microsoft
MICROSOFT: Final = 311
MS_CHAP_RESPONSE: Final = 1
MS_CHAP2_RESPONSE: Final = 25

# Values
SERVICE_TYPE_FRAMED: Final = 2
FRAMED_PROTOCOL_PPP: Final = 1
ACCT_STATUS_START: Final = 1
ACCT_STATUS_STOP: Final = 2
ACCT_STATUS_INTERIM_UPDATE: Final = 3
ACCT_STATUS_ACCOUNTING_ON: Final = 7
ACCT_STATUS_ACCOUNTING_OFF: Final = 8

TERMINATE_CAUSES: Final = {
    1: "User-Request",
    2: "Lost-Carrier",
    3: "Lost-Service",
    4: "Idle-Timeout",
    5: "Session-Timeout",
    6: "Admin-Reset",
    7: "Admin-Reboot",
    8: "Port-Error",
    9: "NAS-Error",
    10: "NAS-Request",
    11: "NAS-Reboot",
    12: "Port-Unneeded",
    13: "Port-Preempted",
    14: "Port-Suspended",
    15: "Service-Unavailable",
    16: "Callback",
    17: "User-Error",
    18: "Host-Request",
}

# What values can be at most. Of time RouterOS takes no more: about 248 days.
SESSION_SECONDS_MAX: Final = 21_474_720
WORD_MAX: Final = 0xFFFF_FFFF
OCTETS_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF
