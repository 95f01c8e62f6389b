"""Every way the gateway says no, or says nothing: Daraja's JSON, Apigee's fault JSON, HTML, silence.

Source: Daraja error tables; Apigee policy faults; the web firewall's block page.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ErrorKeys(enum.StrEnum):
    """How the keys of Daraja's error envelope are spelled; it varies between its services."""

    CAMEL = "camel"
    PASCAL = "pascal"
    SNAKE = "snake"


class Fault(enum.StrEnum):
    """A named answer that is not the one hoped for; any of them fits any request."""

    BAD_REQUEST = "bad-request"
    INVALID_PAYLOAD = "invalid-payload"
    INVALID_ACCESS = "invalid-access-token"
    INVALID_ACCESS_400 = "invalid-access-token-400"
    INVALID_ACCESS_401 = "invalid-access-token-401"
    INVALID_ACCESS_PULL = "invalid-access-token-pull"
    INVALID_AUTHENTICATION_HEADER = "invalid-authentication-header"
    MERCHANT_DOES_NOT_EXIST = "merchant-does-not-exist"
    WRONG_CREDENTIALS = "wrong-credentials"
    SUBSCRIBER_LOCKED = "subscriber-locked"
    SYSTEM_BUSY = "system-busy"
    SPIKE_ARREST = "spike-arrest"
    QUOTA_VIOLATION = "quota-violation"
    INTERNAL_ERROR = "internal-error"
    MAINTENANCE = "maintenance"
    URLS_REGISTERED = "urls-registered"
    URLS_ON_OLD_PLATFORM = "urls-on-old-platform"
    PULL_FAILED = "pull-failed"
    ERROR_WITH_STATUS_200 = "error-with-status-200"
    REJECTED_WITH_STATUS_200 = "rejected-with-status-200"
    APIGEE_INVALID_ACCESS = "apigee-invalid-token"
    APIGEE_EXPIRED_ACCESS = "apigee-expired-token"
    APIGEE_NO_PRODUCT = "apigee-no-product"
    APIGEE_SPIKE_ARREST = "apigee-spike-arrest"
    APIGEE_QUOTA = "apigee-quota"
    HTML_200 = "html-200"
    HTML_403 = "html-403"
    HTML_502 = "html-502"
    HTML_503 = "html-503"
    EMPTY_400 = "empty-400"
    EMPTY_500 = "empty-500"
    NEVER = "never"  # the connection stays open and no answer comes
    RESET = "reset"  # the connection is reset


@dataclass(frozen=True, slots=True)
class DarajaError:
    """What Daraja's own error envelope says, and under which HTTP status."""

    status: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.status} {self.code} {self.message}"


@dataclass(frozen=True, slots=True)
class ApigeeError:
    """What the API gateway in front of Daraja says."""

    status: int
    faultstring: str
    errorcode: str

    def __str__(self) -> str:
        return f"{self.status} {self.errorcode} {self.faultstring}"


def bad_c2b_request(field: str) -> DarajaError:
    """The refusal of one field by the C2B API."""
    return DarajaError(400, "400.003.02", f"Bad Request - Invalid {field}")


def bad_request(field: str) -> DarajaError:
    """The refusal of one field of a request."""
    return DarajaError(400, "400.002.02", f"Bad Request - Invalid {field}")


def spike_arrest(per_minute: int) -> ApigeeError:
    """The throttle's answer, naming its rate."""
    rate = f"messagesPerPeriod={per_minute}, periodInMicroseconds=60000000, maxBurstMessageCount=1.0"
    return ApigeeError(
        429,
        f"Spike arrest violation. Allowed rate : MessageRate{{{rate}}}",
        "policies.ratelimit.SpikeArrestViolation",
    )


INVALID_PAYLOAD = DarajaError(400, "400.002.05", "Invalid Request Payload")
INVALID_AUTHENTICATION = DarajaError(400, "400.008.01", "Invalid Authentication passed")
INVALID_GRANT_TYPE = DarajaError(400, "400.008.02", "Invalid grant type passed")
INVALID_AUTHENTICATION_HEADER = DarajaError(404, "404.001.04", "Invalid Authentication Header")
RESOURCE_NOT_FOUND = DarajaError(404, "404.001.01", "Resource not found")
METHOD_NOT_ALLOWED = DarajaError(405, "405.001", "Method Not Allowed")
MERCHANT_DOES_NOT_EXIST = DarajaError(500, "500.001.1001", "Merchant does not exist")
WRONG_CREDENTIALS = DarajaError(500, "500.001.1001", "Wrong credentials")
SUBSCRIBER_LOCKED = DarajaError(
    500,
    "500.001.1001",
    "Unable to lock subscriber, a transaction is already in process for the current subscriber",
)
URLS_REGISTERED = DarajaError(500, "500.003.1001", "Urls are already registered.")
INVALID_PULL_SHORT_CODE = DarajaError(400, "400.001", "Invalid ShortCode")
PULL_FAILED = DarajaError(500, "500", "failed to retrieve")
STILL_BEING_PROCESSED = DarajaError(500, "500.001.1001", "The transaction is being processed")

DARAJA_ERRORS = {
    Fault.BAD_REQUEST: bad_request("Amount"),
    Fault.INVALID_PAYLOAD: INVALID_PAYLOAD,
    Fault.INVALID_ACCESS: DarajaError(404, "404.001.03", "Invalid Access Token"),
    Fault.INVALID_ACCESS_400: DarajaError(400, "400.003.01", "Invalid Access Token"),
    Fault.INVALID_ACCESS_401: DarajaError(401, "401.002.01", "Error Occurred - Invalid Access Token"),
    Fault.INVALID_ACCESS_PULL: DarajaError(401, "401.001", "Invalid Access Token"),
    Fault.INVALID_AUTHENTICATION_HEADER: INVALID_AUTHENTICATION_HEADER,
    Fault.MERCHANT_DOES_NOT_EXIST: MERCHANT_DOES_NOT_EXIST,
    Fault.WRONG_CREDENTIALS: WRONG_CREDENTIALS,
    Fault.SUBSCRIBER_LOCKED: SUBSCRIBER_LOCKED,
    Fault.SYSTEM_BUSY: DarajaError(500, "500.003.02", "System is busy. Please try again in few minutes."),
    Fault.SPIKE_ARREST: DarajaError(500, "500.003.02", "Error Occurred: Spike Arrest Violation"),
    Fault.QUOTA_VIOLATION: DarajaError(500, "500.003.03", "Error Occurred: Quota Violation"),
    Fault.INTERNAL_ERROR: DarajaError(500, "500.003.1001", "Internal Server Error"),
    Fault.MAINTENANCE: DarajaError(500, "500.002.1001", "Service is currently under maintenance"),
    Fault.URLS_REGISTERED: URLS_REGISTERED,
    Fault.URLS_ON_OLD_PLATFORM: DarajaError(500, "500.003.1001", "Duplicate notification info, SP ID is 107031"),
    Fault.PULL_FAILED: PULL_FAILED,
    Fault.ERROR_WITH_STATUS_200: DarajaError(200, "500.003.1001", "Internal Server Error"),
}

APIGEE_ERRORS = {
    Fault.APIGEE_INVALID_ACCESS: ApigeeError(401, "Invalid Access Token", "keymanagement.service.invalid_access_token"),
    Fault.APIGEE_EXPIRED_ACCESS: ApigeeError(401, "Access Token expired", "keymanagement.service.access_token_expired"),
    Fault.APIGEE_NO_PRODUCT: ApigeeError(
        401,
        "Invalid API call as no apiproduct match found",
        "keymanagement.service.InvalidAPICallAsNoApiProductMatchFound",
    ),
    Fault.APIGEE_SPIKE_ARREST: spike_arrest(5),
    Fault.APIGEE_QUOTA: ApigeeError(
        429,
        "Rate limit quota violation. Quota limit exceeded. Identifier : _default",
        "policies.ratelimit.QuotaViolation",
    ),
}

HTML_STATUSES = {Fault.HTML_200: 200, Fault.HTML_403: 403, Fault.HTML_502: 502, Fault.HTML_503: 503}
EMPTY_STATUSES = {Fault.EMPTY_400: 400, Fault.EMPTY_500: 500}

FIREWALL_PAGE = (
    '<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head>'
    '<body style="margin:0px;height:100%">Request unsuccessful. '
    "Incapsula incident ID: 1173000150097418466-261420193071</body></html>"
)
OUTAGE_PAGE = (
    "<html><head><title>{status} {phrase}</title></head>\r\n"
    "<body><center><h1>{status} {phrase}</h1></center></body></html>\r\n"
)


class DarajaRefusalError(Exception):
    """A request ends here, in this answer.

    Args:
        error: What the answer says.
        request_id: The `requestId` of the envelope, where it is not an arbitrary one.
    """

    def __init__(self, error: DarajaError | ApigeeError | Fault, *, request_id: str | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id
