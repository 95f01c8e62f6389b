"""What the old deployment got wrong about money and the back office gets right; the rest is named by its proofs."""

from __future__ import annotations

import ast
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from easyisp_edge.domain.values import NAIROBI
from easyisp_edge.system import SystemTime
from tests.whole.answer_shapes import ID, differences, filled
from tests.whole.back_office_requests import IN_BRACES
from tests.whole.back_office_site import OPERATIONS
from tests.whole.back_office_stage import OWNER, PASSWORD, SANDBOX, WEST_GATEWAY, BackOfficeStage
from tests.whole.stage import EDGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_LIST = "/api/payment-gateways"
_STATISTICS = "/api/payments/mpesa/stats"
TESTS = Path(__file__).parents[1]

# What is mended elsewhere, and which tests hold it.
PROVEN: dict[str, tuple[str, ...]] = {
    "a query answered while the PIN is typed fails nothing": (
        "unit/adapters/test_daraja_client.py::test_a_query_reports",
        "unit/adapters/test_daraja_messages.py::test_codes_without_certainty_are_unknown",
    ),
    "query and callback end in one payment": (
        "unit/services/money/test_settlement_orders.py::test_all_orders_end_the_same",
        "whole/test_forgery.py::test_the_first_callback_told_many_times_at_once_books_once",
    ),
    "a pasted message is only a key to M-Pesa's own record": (
        "whole/test_money_receipts.py::TestInvented::test_ten_thousand_are_worth_nothing",
    ),
    "a callback without its secret proves nothing": (
        "whole/test_forgery.py::test_a_success_without_the_secret_is_only_a_reason_to_ask",
        "whole/test_forgery.py::test_a_wrong_amount_is_kept_and_grants_nothing",
    ),
    "a payment after expiry counts": ("whole/test_contract.py::test_status_of_a_purchase_nothing_was_heard_of",),
    "a query signs as its push did": ("whole/test_tenants.py::TestOneTenant::test_a_query_signs_as_its_push_did",),
    "times told to M-Pesa are Nairobi's": ("unit/adapters/test_daraja_pull.py::test_any_zone_is_told_as_nairobi_time",),
    "an hour is an hour, over all sessions": (
        "whole/test_main_job.py::test_expiry_puts_the_device_off",
        "whole/test_hotspot_user_quotas.py::test_time_online_ends_over_sessions_and_a_reboot",
    ),
    "speeds the right way round, caps over sessions and beyond 4 GiB": (
        "unit/adapters/test_radius_logins.py::test_a_router_reads_the_speed_that_was_meant",
        "unit/services/access/test_logins.py::test_data_counts_over_all_sessions",
        "unit/services/access/test_accounting.py::test_counters_have_64_bits",
    ),
    "no parameter leads the page elsewhere": (
        "whole/test_xss.py::test_parameters_are_words_and_lead_nowhere",
        "whole/test_xss.py::test_the_login_goes_to_the_configured_router_only",
    ),
    "the page is whole by itself": ("unit/web/test_pages.py::TestEveryPage::test_nothing_inline_nothing_foreign",),
    "nobody learns a login by naming a device": (
        "unit/web/test_session_api.py::test_check_session_never_tells_a_login",
    ),
    "the password is looked at": ("unit/web/test_session_api.py::test_a_wrong_password_is_refused",),
    "a device signs out itself alone": ("unit/web/test_session_api.py::test_no_device_signs_out_another",),
    "a voucher is taken once": ("unit/services/portal/test_vouchers.py::test_of_many_who_are_at_it_at_once_one_wins",),
    "a manual payment and its wallet are one transaction": (
        "unit/web/admin/test_manual_payments.py::test_recorded_money_is_in_the_wallet",
        "unit/web/admin/test_manual_payments.py::test_clearing_that_is_cut_off_goes_on_where_it_was",
    ),
    "the webhook acknowledges what is on the disk": (
        "unit/web/test_webhooks.py::test_it_is_answered_once_it_is_on_the_disk",
        "whole/test_webhook_money.py::test_killed_between_a_thousand_webhooks",
    ),
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[BackOfficeStage]:
    """A box of two tenants after a day's business."""
    async with BackOfficeStage(tmp_path) as stage:
        await stage.do_business()
        yield stage


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[BackOfficeStage]:
    """A box where EAST has no gateway yet."""
    async with BackOfficeStage(tmp_path, files={"gateways.toml": WEST_GATEWAY}) as stage:
        yield stage


@pytest.mark.parametrize("mend", PROVEN)
def test_what_is_proven_elsewhere_is(mend: str) -> None:
    """Each test that is named as the proof of a mend is there, by that name."""
    for named in PROVEN[mend]:
        name, _, path = named.partition("::")
        body = ast.parse((TESTS / name).read_text(encoding="utf-8")).body
        for part in path.split("::"):
            found = [each for each in body if getattr(each, "name", "") == part]
            assert found, named
            body = getattr(found[0], "body", [])


async def test_secrets_go_in_and_never_come_out(bare: BackOfficeStage) -> None:
    """Not when a gateway is made, listed, changed, refused or tried, nor in the audit trail."""
    answers = [await bare.ask("POST", _LIST, "ADMIN", SANDBOX)]
    bare.ids["gateway"] = answers[0].content["id"]
    one = "/api/payment-gateways/{gateway}"
    for method, path, body in (
        ("GET", _LIST, None),
        ("PUT", one, {**SANDBOX, "name": "Other"}),
        ("PUT", one, {**SANDBOX, "shortcode": "x"}),
        ("POST", one + "/test", None),
        ("GET", "/api/audit", None),
    ):
        answers.append(await bare.ask(method, path, "ADMIN", body))
    assert [answer.status for answer in answers] == [201, 200, 200, 400, 200, 200]
    for secret in ("consumerKey", "consumerSecret", "passkey"):
        assert not [answer.text for answer in answers if SANDBOX[secret] in answer.text], secret
    # M-Pesa takes the keys: what is hidden is not lost.
    assert answers[4].content["success"] is True


async def test_a_gateway_with_an_open_payment_stays(bare: BackOfficeStage) -> None:
    """Removal is refused in words while somebody is paying through it, and is done afterwards."""
    gateway = await bare.have("POST", _LIST, 201, "ADMIN", **SANDBOX, forHotspot=True)
    path = f"{_LIST}/{gateway['id']}"
    purchase_id = await bare.buy(tenantId="east", nasIp="127.0.0.1")
    refused = await bare.have("DELETE", path, 409, "ADMIN")
    assert refused["code"] == "gateway.in_use"
    assert "paying" in refused["message"]
    assert [each["id"] for each in await bare.have("GET", _LIST, who="ADMIN")] == [gateway["id"]]
    await bare.pay()
    await bare.until_status_at("east", purchase_id, "completed")
    await bare.until_online()
    assert await bare.have("DELETE", path, who="ADMIN") == {"success": True}
    # What was paid through it stays.
    (payment,) = (await bare.have("GET", "/api/payments/electronic", who="ADMIN"))["transactions"]
    assert payment["gatewayId"] == gateway["id"]


async def test_another_tenants_gateway_is_not_there(office: BackOfficeStage) -> None:
    """Made or declared, it is a 404 in the very words of one that does not exist, and stays as it is."""
    before = await office.have("GET", _LIST + "?tenantId=west")
    for key in ("{west_gateway}", "west-till"):
        for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/default"), ("POST", "/test")):
            body = {"name": "Mine"} if method == "PUT" else None
            theirs = await office.ask(method, f"{_LIST}/{key}{path}", "ADMIN", body)
            none = await office.ask(method, f"{_LIST}/not-there{path}", "ADMIN", body)
            assert theirs.status == none.status == 404
            assert theirs.text.replace(key.format_map(office.ids), "x") == none.text.replace("not-there", "x")
    assert await office.have("GET", _LIST + "?tenantId=west") == before


async def test_legacy_settings_are_one_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old variables alone are "Migrated Gateway", the default for hotspot and PPPoE; it sells, and is read-only."""
    for name, value in {
        "MPESA_ENV": "sandbox",
        "MPESA_SHORTCODE": SANDBOX["shortcode"],
        "MPESA_CONSUMER_KEY": SANDBOX["consumerKey"],
        "MPESA_CONSUMER_SECRET": SANDBOX["consumerSecret"],
        "MPESA_PASSKEY": SANDBOX["passkey"],
    }.items():
        monkeypatch.setenv(name, value)
    files = {"gateways.toml": "", "edge.toml": EDGE + '[mpesa]\nbase_url = "{daraja}"\n'}
    async with LegacyStage(tmp_path, files=files, as_process=True) as stage:
        (gateway,) = await stage.have("GET", _LIST)
        wanted = {"name": "Migrated Gateway", "isDefault": True, "forHotspot": True, "forPppoe": True}
        assert not differences(gateway, {**wanted, "subType": "PAYBILL", "shortcode": "174379", "readOnly": True})
        refused = await stage.have("DELETE", f"{_LIST}/{gateway['id']}", 409)
        assert "MPESA_SHORTCODE" in refused["message"]
        purchase_id = await stage.buy()
        await stage.pay()
        await stage.until_status(purchase_id, "completed")
        await stage.until_online()
        (payment,) = (await stage.have("GET", "/api/payments/electronic"))["transactions"]
        assert (payment["gatewayId"], payment["amount"]) == (gateway["id"], 10)


class LegacyStage(BackOfficeStage):
    """A box that nobody has set up since the old deployment: one tenant, and its owner."""

    usual_files: ClassVar[Mapping[str, str]] = {}

    async def let_people_in(self) -> None:
        await self.add_owner()
        await self.log_in(OWNER)


async def test_the_success_rate_counts_attempts(office: BackOfficeStage) -> None:
    """Of those that are decided: one of two was paid, then one of three, to a tenth; what is open counts as pending."""
    before = await office.have("GET", _STATISTICS, who="ADMIN")
    await office.cancel("0766000111", macAddress="AA:BB:CC:00:00:09")
    after = await office.have("GET", _STATISTICS, who="ADMIN")
    assert (before["successRate"], before["pendingConfirmations"]) == (50.0, 1)
    assert (after["successRate"], after["pendingConfirmations"]) == (33.3, 1)


async def test_a_late_success_is_money(office: BackOfficeStage) -> None:
    """An attempt that failed and is paid all the same is a payment, and no failure any more."""
    purchase_id = await office.cancel("0766000111", macAddress="AA:BB:CC:00:00:09")
    failed = await office.have("GET", "/api/payments/electronic?status=failed", who="ADMIN")
    assert [each["phone"] for each in failed["transactions"]] == ["254766000111", "254722000111"]
    pushed = office.daraja.accepted[-1].checkout_request_id
    office.daraja.succeed_late(pushed)
    await office.daraja.send_callback(pushed)
    await office.until_status_at("east", purchase_id, "completed")
    (failed,) = (await office.have("GET", "/api/payments/electronic?status=failed", who="ADMIN"))["transactions"]
    assert failed["phone"] == "254722000111"
    paid = await office.have("GET", "/api/payments/electronic?search=254766000111", who="ADMIN")
    assert [(each["amount"], each["disposition"]) for each in paid["transactions"]] == [(10, "grant")]
    assert (await office.have("GET", _STATISTICS, who="ADMIN"))["successRate"] == 66.7


async def test_money_without_a_match_is_kept_and_assigned(office: BackOfficeStage) -> None:
    """An unknown customer's payment is listed as unmatched until a person says whose it is; then it buys."""
    assign = "/api/payments/unmatched/{unmatched}/assign"
    fields = {"phone": "0755000111", "packageId": "1h"}
    assigned = await office.have("POST", assign, 200, "STAFF", **fields)
    stated = {"id": "{unmatched}", "amount": 30, "disposition": "grant", "customer": {"name": "254755000111"}}
    assert not differences(assigned, filled({"payment": stated, "grant": {"id": ID, "secondsLeft": 3600}}, office.ids))
    assert (await office.have("GET", "/api/payments/unmatched", who="ADMIN"))["items"] == []
    (payer,) = (await office.have("GET", "/api/customers?phone=0755000111", who="ADMIN"))["items"]
    assert payer["walletBalance"] == 20
    again = await office.have("POST", assign, 409, "STAFF", **fields)
    assert again["code"] == "payment.booked"


async def test_clearing_takes_the_amounts_out_of_the_wallets(office: BackOfficeStage) -> None:
    """What was written down goes out of the wallet with it; the rows stay, and it takes a permission of its own."""
    customer, manual = "/api/customers/{customer}", "/api/payments/manual"
    assert (await office.have("GET", customer, who="ADMIN"))["walletBalance"] == 250
    refused = await office.have("DELETE", manual, 403, "STAFF")
    assert refused["permission"] == "payments:clear_manual"
    cleared = await office.have("DELETE", manual, who="ADMIN")
    assert (cleared["clearedCount"], cleared["clearedAmount"]) == (1, 250)
    after = await office.have("GET", customer, who="ADMIN")
    assert (after["walletBalance"], after["totalSpent"]) == (0, 10)
    (row,) = (await office.have("GET", manual, who="ADMIN"))["transactions"]
    assert (row["id"], row["status"]) == (office.ids["manual"], "REFUNDED")


_NEW_USER = {"name": "New", "email": "new@example.com", "password": PASSWORD, "role": "STAFF"}
# What people change, and as what it stands in the audit trail.
_CHANGES: tuple[tuple[str, str, dict[str, Any] | None, str], ...] = (
    ("POST", "/api/payments/manual", {"customerId": "{customer}", "amount": 5}, "staff.recorded"),
    ("DELETE", "/api/payments/manual", None, "staff.cleared"),
    ("POST", "/api/payments/unmatched/{unmatched}/assign", {"phone": "0755000111"}, "staff.assigned"),
    ("POST", "/api/payments/{unmatched}/refund", {"note": "by hand"}, "staff.refunded"),
    ("PUT", "/api/payment-gateways/{gateway}", {"name": "Other"}, "gateway.changed"),
    ("DELETE", "/api/payment-gateways/{gateway}", None, "gateway.removed"),
    ("POST", "/api/payment-gateways", SANDBOX | {"shortcode": "777999"}, "gateway.made"),
    ("POST", "/api/grants/{grant}/extend", {"minutes": 5, "reason": "rain"}, "staff.grant_extended"),
    ("POST", "/api/grants/{grant}/move", {"mac": "AA:BB:CC:00:00:07"}, "staff.grant_moved"),
    ("POST", "/api/grants/{grant}/revoke", {"reason": "asked for it"}, "staff.grant_ended"),
    ("POST", "/api/vouchers", {"packageId": "1d", "count": 1}, "staff.vouchers_made"),
    ("POST", "/api/vouchers/{batch}/revoke", None, "staff.vouchers_revoked"),
    ("POST", "/api/users", _NEW_USER, "staff.user_made"),
    ("PUT", "/api/users/{user_VIEWER}", {"name": "Other"}, "staff.user_changed"),
    ("DELETE", "/api/users/{user_VIEWER}", None, "staff.user_removed"),
    ("POST", "/api/auth/tokens", {"name": "more", "permissions": ["packages:view"]}, "staff.token_made"),
    ("DELETE", "/api/auth/tokens/{token}", None, "staff.token_revoked"),
    ("PUT", "/api/auth/password", {"oldPassword": PASSWORD, "newPassword": "another horse"}, "staff.password_changed"),
    ("POST", "/api/auth/logout", None, "staff.logged_out"),
)
# Those that change nothing, or nothing that is somebody's doing; and those whose noting is proven elsewhere.
_NOTES_NOTHING = {"refreshLogin", "testPaymentGateway", "takeMpesaWebhook", "takeMpesaWebhookAtOldPath"}
_NOTED_ELSEWHERE = {
    "logIn": "unit/web/admin/test_auth.py",
    "switchGrant": "unit/services/back_office/test_grants_desk.py",
    "defaultPaymentGateway": "unit/web/admin/test_payment_gateways.py",
    "closeProblem": "unit/web/admin/test_problems_area.py",
}


def test_no_change_goes_untried() -> None:
    """Whatever is not only asked for is among the changes, or its proof is named."""
    tried = {(method, IN_BRACES.sub("{}", path)) for method, path, _, _ in _CHANGES}
    beside = {
        told.operation_id
        for told in OPERATIONS.values()
        if told.method != "GET" and (told.method, IN_BRACES.sub("{}", told.path)) not in tried
    }
    assert beside == _NOTES_NOTHING | _NOTED_ELSEWHERE.keys()
    assert all((TESTS / name).is_file() for name in _NOTED_ELSEWHERE.values())


async def test_every_change_is_noted_with_who_made_it(office: BackOfficeStage) -> None:
    """Each adds to the trail of its tenant what it was and who it was; another tenant's trail stays as it is."""
    theirs = await office.have("GET", "/api/audit?tenantId=west")
    token = await office.have("POST", "/api/auth/tokens", 201, "ADMIN", name="books", permissions=["packages:view"])
    office.ids["token"] = token["id"]
    for method, path, body, action in _CHANGES:
        (before,) = (await office.have("GET", "/api/audit?limit=1&tenantId=east"))["items"]
        answered = await office.ask(method, path, "ADMIN", filled(body, office.ids))
        assert answered.status < 300, answered.text
        acts = (await office.have("GET", "/api/audit?limit=10&tenantId=east"))["items"]
        new = acts[: acts.index(before)]
        assert {(each["action"], each["by"], each["tenantId"]) for each in new} == {
            (action, "admin@example.com", "east")
        }
    assert await office.have("GET", "/api/audit?tenantId=west") == theirs


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Adak"])
@pytest.mark.parametrize("month_ends", [False, True])
async def test_days_are_nairobis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, *, month_ends: bool
) -> None:
    """On a machine of whatever zone, today begins at midnight in Nairobi, and the month with its first day there."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        stage = BackOfficeStage(tmp_path)
        stage.time.move(_until_late(month_ends=month_ends))
        async with stage:
            await stage.do_business()
            path = "/api/payments/mpesa/stats?tenantId=east"
            told = await stage.have("GET", path)
            assert (told["todayReceived"], told["thisMonthReceived"]) == (40, 40)
            stage.time.move(_LATE_SECONDS)
            told = await stage.have("GET", path)
            assert (told["todayReceived"], told["todayTransactions"]) == (0, 0)
            assert told["thisMonthReceived"] == (0 if month_ends else 40)
    finally:
        monkeypatch.undo()
        time.tzset()


_LATE_SECONDS = 300


def _until_late(*, month_ends: bool) -> float:
    """How long it is until five minutes before a midnight in Nairobi, which ends a month or does not."""
    now = SystemTime().wall().astimezone(NAIROBI)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    while (midnight.day == 1) != month_ends:
        midnight += timedelta(days=1)
    return (midnight - now).total_seconds() - _LATE_SECONDS
