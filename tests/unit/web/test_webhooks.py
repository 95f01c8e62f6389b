"""The webhook for payments: who is believed, what it is answered, whose the money is."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.payments import Disposition
from easyisp_edge.domain.purchases import PurchaseState
from easyisp_edge.domain.values import MacAddress, Money, Msisdn
from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.money.webhook_money import WebhookMoney
from easyisp_edge.web.admin.openapi import document
from easyisp_edge.web.admin.serving import Desk
from easyisp_edge.web.app import admin_app, callbacks_app
from easyisp_edge.web.requests import BODY_OCTETS_MAX
from easyisp_edge.web.webhooks import PATHS, MpesaWebhook, WebhooksArea
from tests.fakes.gateway import CHECKOUT, PAYER, money_record
from tests.unit.desk import TWO_TENANTS, Office, open_office
from tests.unit.shop import (
    MAC,
    OTHER_MAC,
    OTHER_PHONE,
    PAY_CODE,
    PURCHASE_ID,
    RECEIVER,
    TENANT,
    a_claim,
    a_prompted_purchase,
    a_purchase,
)
from tests.unit.web.admin.stage import Keys
from tests.unit.web.webhook_bodies import ACCEPTED, KEY, c2b_body, stk_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from aiohttp.test_utils import TestClient

    from easyisp_edge.domain.payments import Payment
    from easyisp_edge.store.store import Tables

    MakeClient = Callable[..., Awaitable[TestClient[Any, Any]]]

RECEIPT = "SKL41HOOK1"
BOTH_SELL = {
    **TWO_TENANTS,
    "packages.toml": TWO_TENANTS["packages.toml"]
    + TWO_TENANTS["packages.toml"].replace('tenant = "default"', 'tenant = "other"'),
}


@dataclass
class Hook:
    """The webhook of a site, at M-Pesa's door and at the owner's."""

    office: Office
    outside: TestClient[Any, Any]
    inside: TestClient[Any, Any]

    async def post(
        self,
        body: object,
        *,
        key: str | None = KEY,
        in_address: bool = False,
        expect: int = 200,
        path: str = PATHS[0],
        inside: bool = False,
        tenant_id: str | None = None,
    ) -> None:
        """Tell of something; what is no text or octets goes as JSON."""
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"X-API-Key": key} if key is not None and not in_address else {}
        asked = {} if tenant_id is None else {"tenantId": tenant_id}
        if key is not None and in_address:
            asked["key"] = key
        client = self.inside if inside else self.outside
        async with client.post(path, data=data, headers=headers, params=asked) as answer:
            assert answer.status == expect, await answer.text()
            if expect == 200:
                assert await answer.json() == ACCEPTED

    async def customer(
        self,
        phone: Msisdn | None = PAYER,
        *,
        tenant_id: str = TENANT,
        mac: MacAddress | None = None,
        service: Service = Service.HOTSPOT,
    ) -> str:
        """A customer who has paid nothing yet."""
        books = self.office.books

        def make(tx: Tables) -> str:
            return tx.customers.paid(
                new_id=books.identifiers.ordered(books.now()),
                tenant_id=tenant_id,
                service=service,
                phone=phone,
                mac=mac,
                amount=Money(0),
                at=books.now(),
            )

        return await books.store.write(make)

    def payment(self, receipt: str = RECEIPT) -> Payment:
        return self.office.payment(receipt)

    def wallet(self, customer_id: str) -> Money:
        return self.office.tables.ledger.wallet(customer_id)

    @property
    def payments(self) -> int:
        return self.office.books.count("payments")

    def have_key(self, key: str | None) -> None:
        """Put a key into force."""
        site = self.office.site
        callbacks = site.config.edge.callbacks.model_copy(
            update={"webhook_key": None if key is None else SecretStr(key)}
        )
        site.config = replace(site.config, edge=site.config.edge.model_copy(update={"callbacks": callbacks}))


def said(caplog: pytest.LogCaptureFixture) -> str:
    """What the box itself logged; the test's own server logs requests, which the daemon's does not."""
    return "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("easyisp_edge"))


async def _open(office: Office, aiohttp_client: MakeClient) -> Hook:
    webhook = MpesaWebhook(WebhookMoney(office.settlement, office.site))
    outside = await aiohttp_client(callbacks_app(office.settlement, office.site.receiver, webhook))
    area = WebhooksArea(webhook)
    inside = await aiohttp_client(admin_app(dict, Desk(Keys(), office.site), [area], set))
    hook = Hook(office, outside, inside)
    hook.have_key(KEY)
    return hook


@pytest.fixture
async def hook(tmp_path: Path, aiohttp_client: MakeClient) -> AsyncIterator[Hook]:
    """A site of one tenant, whose webhook has a key."""
    async with open_office(tmp_path) as office:
        hook = await _open(office, aiohttp_client)
        yield hook
        await hook.outside.close()
        await hook.inside.close()


@pytest.fixture
async def shared(tmp_path: Path, aiohttp_client: MakeClient) -> AsyncIterator[Hook]:
    """A site of two tenants, `default` and `other`."""
    async with open_office(tmp_path, BOTH_SELL) as office:
        hook = await _open(office, aiohttp_client)
        yield hook
        await hook.outside.close()
        await hook.inside.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("in_address", [False, True])
@pytest.mark.parametrize("body", [stk_body(), c2b_body()], ids=["stk", "c2b"])
async def test_a_customers_payment_is_in_the_wallet(
    hook: Hook, path: str, body: dict[str, Any], *, inside: bool, in_address: bool
) -> None:
    """On both paths and doors, with the key in the header or the address: booked, and credit of who paid."""
    customer = await hook.customer()
    await hook.post(body, path=path, inside=inside, in_address=in_address)
    payment = hook.payment()
    assert (payment.disposition, payment.customer_id) == (Disposition.WALLET, customer)
    assert (payment.amount, hook.wallet(customer)) == (Money(1000), Money(1000))


@pytest.mark.parametrize("key", [None, "", "another", KEY + "x", KEY[:-1], "\u20ac\u00fc"])
@pytest.mark.parametrize("in_address", [False, True])
async def test_without_the_key_nothing_is_believed(
    hook: Hook, caplog: pytest.LogCaptureFixture, key: str | None, *, in_address: bool
) -> None:
    """It is answered as accepted, nothing changes, and what was tried stands in no log."""
    with caplog.at_level(logging.DEBUG):
        await hook.post(stk_body(), key=key, in_address=in_address)
    assert hook.payments == hook.office.books.count("evidence") == 0
    assert "wrong one" in said(caplog)
    assert not key or key not in said(caplog)


@pytest.mark.parametrize("key", ["", KEY])
async def test_a_box_without_a_key_believes_nobody(hook: Hook, key: str) -> None:
    """Where no key is set, none is right: an empty one least of all."""
    hook.have_key(None)
    await hook.post(stk_body(), key=key)
    await hook.post(stk_body(), key=key, in_address=True)
    assert hook.payments == 0


async def test_the_key_is_in_no_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    """Neither where it was right, nor where the body was none."""
    with caplog.at_level(logging.DEBUG):
        await hook.post(stk_body(), in_address=True)
        await hook.post("{", in_address=True)
    assert "webhook" in said(caplog)
    assert KEY not in said(caplog)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"Body": {}}',
        b'{"Body": {"stkCallback": {}}}',
        b"x" * (BODY_OCTETS_MAX + 1),
        json.dumps(stk_body(receipt=None)).encode(),
        json.dumps(stk_body(shillings=None)).encode(),
        json.dumps(stk_body(shillings=0)).encode(),
        json.dumps(stk_body(shillings=-1)).encode(),
        json.dumps(stk_body(code=1032)).encode(),
        json.dumps(stk_body(code=4999)).encode(),
        json.dumps(c2b_body(shillings="0.00")).encode(),
        json.dumps(c2b_body(shillings="ten")).encode(),
        json.dumps(c2b_body(receipt="")).encode(),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
async def test_what_tells_of_no_payment_changes_nothing(hook: Hook, body: bytes, *, inside: bool) -> None:
    """Garbage, too much, a failure, no receipt or no amount: accepted, and nothing is booked."""
    await hook.customer()
    await hook.post(body, inside=inside)
    assert hook.payments == hook.office.books.count("evidence") == 0


async def test_it_is_answered_once_it_is_on_the_disk(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the box cannot write, it does not say that it has: 503 at both doors, and told again it is booked."""

    async def full(_work: object) -> None:
        raise UnavailableError("store.not_written", "The box could not write to its disk.")

    customer = await hook.customer()
    with monkeypatch.context() as patched:
        patched.setattr(hook.office.books.store, "write", full)
        await hook.post(c2b_body(), expect=503)
        await hook.post(c2b_body(), expect=503, inside=True)
    assert hook.payments == 0
    await hook.post(c2b_body())
    assert hook.wallet(customer) == Money(1000)


async def test_a_receipt_told_again_changes_nothing(hook: Hook) -> None:
    """In whatever shape, with whatever amount: the first telling counts."""
    customer = await hook.customer()
    await hook.post(stk_body())
    events = hook.office.books.count("events")
    await hook.post(stk_body())
    await hook.post(c2b_body())
    await hook.post(stk_body(checkout="ws_CO_yet_another"), path=PATHS[1])
    assert hook.office.books.count("events") == events
    await hook.post(c2b_body(shillings="500"))
    assert (hook.payments, hook.wallet(customer)) == (1, Money(1000))


async def test_an_unknown_customers_payment_waits_to_be_assigned(hook: Hook) -> None:
    """It is recorded all the same, shown as unmatched, and a person may assign it."""
    await hook.post(stk_body(phone=OTHER_PHONE.digits))
    payment = hook.payment()
    assert (payment.disposition, payment.phone) == (Disposition.UNMATCHED, OTHER_PHONE)
    assert [each.mpesa_receipt_number for each in hook.office.tables.payments.unmatched(TENANT, 9)] == [RECEIPT]
    await hook.customer(OTHER_PHONE)
    await hook.post(stk_body(phone=OTHER_PHONE.digits))
    assert hook.payment().disposition is Disposition.UNMATCHED


async def test_told_first_by_another_it_is_credited_all_the_same(hook: Hook) -> None:
    """The order in which the list and the webhook tell of money makes no difference to where it ends."""
    customer = await hook.customer()
    await hook.office.settlement.take_records(RECEIVER, [money_record(receipt=RECEIPT)])
    assert hook.payment().disposition is Disposition.UNMATCHED
    await hook.post(c2b_body())
    assert hook.wallet(customer) == Money(1000)
    await hook.office.settlement.take_records(RECEIVER, [money_record(receipt=RECEIPT)])
    assert (hook.payments, hook.wallet(customer)) == (1, Money(1000))


@pytest.mark.parametrize("phone", ["0712345678", "712345678", "+254 712 345 678", "254712345678"])
async def test_the_payer_is_found_by_the_last_nine_digits(hook: Hook, phone: str) -> None:
    """However the number is written."""
    customer = await hook.customer()
    await hook.post(c2b_body(phone=phone))
    assert hook.payment().customer_id == customer


@pytest.mark.parametrize("phone", ["2547 ***** 678", "", "a" * 64, "not a number"])
async def test_who_is_masked_or_not_told_is_found_by_the_account(hook: Hook, phone: str) -> None:
    """A number typed as account names whom it is for; without one it waits unmatched."""
    customer = await hook.customer()
    await hook.post(c2b_body(phone=phone, account="0712 345 678"))
    assert hook.payment().customer_id == customer
    await hook.post(c2b_body("SKL41HOOK2", phone=phone, account="wifi"))
    assert hook.payment("SKL41HOOK2").disposition is Disposition.UNMATCHED


async def test_whom_it_is_for_comes_before_who_paid(hook: Hook) -> None:
    """A friend pays with another's user name, receipt or number as account: it is that one's credit."""
    friend = await hook.customer(OTHER_PHONE)
    await hook.office.add_purchase(a_prompted_purchase())
    await hook.post(stk_body("SKL41FIRST", checkout=CHECKOUT))
    grant = hook.office.tables.grants.by_purchase(PURCHASE_ID)
    assert grant is not None
    for number, account in enumerate([grant.username, grant.username.lower(), "SKL41FIRST", "0712345678"]):
        await hook.post(c2b_body(f"SKL41HOOK{number}", phone=OTHER_PHONE.digits, account=account))
        assert hook.payment(f"SKL41HOOK{number}").customer_id == grant.customer_id, account
    assert (hook.wallet(grant.customer_id), hook.wallet(friend)) == (Money(4000), Money(0))
    await hook.post(stk_body("SKL41HOOK9", phone=OTHER_PHONE.digits, account=grant.username))
    assert hook.payment("SKL41HOOK9").customer_id == grant.customer_id


async def test_a_number_of_two_services(hook: Hook) -> None:
    """Who has hotspot and PPPoE under one number gets it for hotspot; who has one of them, there."""
    await hook.customer(service=Service.PPPOE)
    hotspot, other = await hook.customer(), await hook.customer(OTHER_PHONE, service=Service.PPPOE)
    await hook.post(c2b_body())
    await hook.post(c2b_body("SKL41HOOK2", phone=OTHER_PHONE.digits))
    assert (hook.payment().customer_id, hook.payment("SKL41HOOK2").customer_id) == (hotspot, other)


async def test_it_never_makes_a_device_a_payers(hook: Hook) -> None:
    """Crediting somebody gives no device the right to spend it."""
    customer = await hook.customer(mac=MAC)
    await hook.post(c2b_body())
    assert hook.office.tables.customers.of_device(TENANT, MAC) == [customer]
    assert hook.office.tables.customers.of_device(TENANT, OTHER_MAC) == []


# --- purchases of ours


async def test_a_push_of_ours_is_settled(hook: Hook) -> None:
    """A callback with our CheckoutRequestID is believed as one on the purchase's secret address."""
    await hook.office.add_purchase(a_prompted_purchase())
    await hook.post(stk_body(checkout=CHECKOUT))
    purchase = hook.office.tables.purchases.by_id(PURCHASE_ID)
    assert purchase is not None
    assert (purchase.state, hook.payment().disposition) == (PurchaseState.PAID, Disposition.GRANT)
    assert hook.office.granted == [TENANT]


async def test_a_failed_push_of_ours_is_failed_until_it_is_paid(hook: Hook) -> None:
    """Mend: a failure is provisional; the late success wins."""
    await hook.office.add_purchase(a_prompted_purchase())
    await hook.post(stk_body(checkout=CHECKOUT, code=1032))
    failed = hook.office.tables.purchases.by_id(PURCHASE_ID)
    assert failed is not None
    assert (failed.state, hook.payments) == (PurchaseState.FAILED, 0)
    await hook.post(stk_body(checkout=CHECKOUT))
    assert hook.office.tables.grants.by_purchase(PURCHASE_ID) is not None


async def test_a_success_that_tells_no_amount_only_makes_us_ask(hook: Hook) -> None:
    """As on the secret address: nothing is booked by it."""
    await hook.office.add_purchase(a_prompted_purchase())
    await hook.post(stk_body(checkout=CHECKOUT, shillings=None))
    assert hook.payments == 0


async def test_money_with_a_pay_code_is_for_its_purchase(hook: Hook) -> None:
    """Mend: a customer who is buying gets what was bought, not credit."""
    await hook.customer()
    await hook.office.add_purchase(a_purchase())
    await hook.post(c2b_body(account=PAY_CODE.lower(), phone="2547 ***** 000"))
    assert hook.office.tables.grants.by_purchase(PURCHASE_ID) is not None


async def test_a_push_whose_answer_was_lost_is_found_by_its_payer(hook: Hook) -> None:
    """Its CheckoutRequestID is nobody's yet; payer, amount and time name it."""
    await hook.office.add_purchase(a_purchase(state=PurchaseState.UNKNOWN))
    await hook.post(stk_body())
    assert hook.office.tables.grants.by_purchase(PURCHASE_ID) is not None


async def test_a_claim_that_waits_is_honoured_before_the_wallet(hook: Hook) -> None:
    """Whoever pasted the receipt is waiting for what it buys."""
    await hook.customer()
    version = hook.office.shelf.version(TENANT, "1h")
    claim = a_claim(mpesa_receipt_number=RECEIPT, package_version_id=version.version_id)
    await hook.office.add_claim(claim)
    await hook.post(c2b_body())
    assert hook.office.claim(claim.claim_id).grant_id is not None
    assert hook.payment().disposition is Disposition.GRANT


async def test_credited_first_it_still_settles_its_purchase(hook: Hook) -> None:
    """Out of order: the webhook credits, then the purchase's own callback names the same receipt: bought once."""
    customer = await hook.customer()
    await hook.post(c2b_body(account="wifi"))
    assert hook.wallet(customer) == Money(1000)
    await hook.office.add_purchase(a_prompted_purchase())
    await hook.post(stk_body(checkout=CHECKOUT))
    assert hook.office.tables.grants.by_purchase(PURCHASE_ID) is not None
    assert (hook.payments, hook.wallet(customer)) == (1, Money(0))


# --- several businesses on one box


async def test_the_short_code_says_whose_it_is(shared: Hook) -> None:
    """Who was paid is who has it, whatever the address says; another tenant's customer gets nothing."""
    mine, theirs = await shared.customer(), await shared.customer(tenant_id="other")
    await shared.post(c2b_body(short_code="512346"), tenant_id=TENANT)
    payment = shared.payment()
    assert (payment.tenant_id, payment.gateway_id, payment.customer_id) == ("other", "theirs", theirs)
    assert shared.wallet(mine) == Money(0)


async def test_the_sender_says_whose_it_is(shared: Hook) -> None:
    """Where the body does not tell, `tenantId` does; only that tenant's customers are looked at."""
    await shared.customer()
    await shared.post(stk_body(), tenant_id="other")
    assert (shared.payment().tenant_id, shared.payment().disposition) == ("other", Disposition.UNMATCHED)
    theirs = await shared.customer(tenant_id="other")
    await shared.post(stk_body("SKL41HOOK2"), tenant_id="other")
    assert shared.payment("SKL41HOOK2").customer_id == theirs


@pytest.mark.parametrize("said_tenant", [None, "", "nobody", "x" * 500])
async def test_what_says_nobodys_is_kept_and_given_to_nobody(shared: Hook, said_tenant: str | None) -> None:
    """With several tenants and none named: recorded as the first one's, unmatched, though a number would fit."""
    for each in (TENANT, "other"):
        await shared.customer(tenant_id=each)
    await shared.post(stk_body(), tenant_id=said_tenant)
    payment = shared.payment()
    assert (payment.tenant_id, payment.disposition) == (TENANT, Disposition.UNMATCHED)


async def test_a_pay_code_says_whose_it_is(shared: Hook) -> None:
    """A purchase is its tenant's: money with its pay code is too, where nothing else says whose it is."""
    await shared.office.add_purchase(a_purchase(tenant_id="other", gateway_id="theirs"))
    await shared.post(stk_body(account=PAY_CODE, phone=OTHER_PHONE.digits))
    payment = shared.payment()
    assert (payment.tenant_id, payment.gateway_id, payment.purchase_id) == ("other", "theirs", PURCHASE_ID)
    assert shared.office.tables.grants.by_purchase(PURCHASE_ID) is not None


async def test_a_user_name_of_another_tenant_is_nobodys(shared: Hook) -> None:
    """Mend: the old one looked for customers at all tenants."""
    await shared.office.add_purchase(a_prompted_purchase())
    await shared.post(stk_body("SKL41FIRST", checkout=CHECKOUT))
    grant = shared.office.tables.grants.by_purchase(PURCHASE_ID)
    assert grant is not None
    for number, account in enumerate([grant.username, "SKL41FIRST", "0712345678"]):
        body = c2b_body(f"SKL41HOOK{number}", phone="", account=account, short_code="512346")
        await shared.post(body)
        assert shared.payment(f"SKL41HOOK{number}").disposition is Disposition.UNMATCHED
    assert shared.wallet(grant.customer_id) == Money(0)


# --- many


async def test_a_thousand_webhooks_out_of_order(hook: Hook) -> None:
    """Duplicates, both shapes, failures among them, all at once: the money is that of the distinct receipts."""
    phones = [Msisdn(f"2547000000{each:02}") for each in range(20)]
    customers = {phone: await hook.customer(phone) for phone in phones[:15]}
    chance = random.Random(7)
    bodies: list[dict[str, Any]] = []
    expected: dict[Msisdn, int] = dict.fromkeys(phones, 0)
    for number in range(300):
        phone, shillings = chance.choice(phones), chance.randint(1, 900)
        expected[phone] += shillings * 100
        receipt = f"SKM{number:07}"
        for _ in range(chance.randint(1, 5)):
            stk, c2b = stk_body(receipt, shillings, phone.digits), c2b_body(receipt, f"{shillings}.00", phone.digits)
            bodies.append(chance.choice([stk, c2b]))
    bodies += [stk_body(f"SKN{number:07}", code=1032) for number in range(max(0, 1000 - len(bodies)))]
    chance.shuffle(bodies)
    assert len(bodies) >= 1000
    for at in range(0, len(bodies), 50):
        await asyncio.gather(*(hook.post(body) for body in bodies[at : at + 50]))
    assert hook.payments == 300
    for phone, customer in customers.items():
        assert hook.wallet(customer) == Money(expected[phone])
    unmatched = hook.office.tables.payments.unmatched(TENANT, 1000)
    assert sum(each.amount.cents for each in unmatched) == sum(expected[phone] for phone in phones[15:])


def test_it_is_told_in_the_document() -> None:
    """Both paths, open to whoever has the key, with the one answer and no word of a login."""
    told = document([WebhooksArea])
    for path in PATHS:
        post = told["paths"][path]["post"]
        assert "security" not in post
        assert set(post["responses"]) == {"200", "503"}
    ids = [told["paths"][path]["post"]["operationId"] for path in PATHS]
    assert len(set(ids)) == 2
