"""Gateways with an API and without, with keys of their own and an aggregator's, and how they learn of payments."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import ConfigError, Environment, GatewayType, ShortPayment, load_config
from easyisp_edge.domain.values import Msisdn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from easyisp_edge.config import Config, Gateway

SECRET = "s3cret-that-nobody-may-read-7f1c"
THEIRS = "aggregators-s3cret-91ab"
AGGREGATOR = {
    "MPESA_ENV": "production",
    "MPESA_CONSUMER_KEY": THEIRS,
    "MPESA_CONSUMER_SECRET": THEIRS,
    "MPESA_SHORTCODE": "600999",
    "MPESA_PASSKEY": f" {THEIRS}\n",
}
PUBLIC_URL = '[callbacks]\npublic_url = "https://pay.example.com"\n'
KEYS = 'consumer_key_file = "key"\nconsumer_secret_file = "key"\npasskey_file = "key"\n'
PAYBILL = '[[gateway]]\nid = "g"\nsub_type = "PAYBILL"\nshortcode = "600986"\n'
TILL = '[[gateway]]\nid = "g"\nsub_type = "BUYGOODS"\nshortcode = "512345"\n'
BANK = '[[gateway]]\nid = "g"\nsub_type = "BANK"\nshortcode = "247247"\naccount_number = "0123456789"\n'
OWN_BANK = BANK + 'business_shortcode = "600986"\n' + KEYS
BY_HAND = 'type = "MPESA_NO_API"\n'
PULL = '[gateway.pull]\nnominated_number = "0712 345 678"\n'
TWO_TENANTS = '[[tenant]]\nid = "a"\nname = "A"\n[[tenant]]\nid = "b"\nname = "B"\n'


def load(
    folder: Path, gateways: str, environ: Mapping[str, str] | None = None, *, edge: str = PUBLIC_URL, tenants: str = ""
) -> Config:
    for name, content in (("edge", edge), ("gateways", gateways), ("tenants", tenants)):
        (folder / f"{name}.toml").write_text(content)
    (folder / "key").write_text(f"{SECRET}\n")
    (folder / "key").chmod(0o600)
    return load_config(folder, environ or {})


def gateway(folder: Path, gateways: str, environ: Mapping[str, str] | None = None) -> Gateway:
    return load(folder, gateways, environ).gateway("g")


def refusal(
    folder: Path, gateways: str, environ: Mapping[str, str] | None = None, *, edge: str = PUBLIC_URL, tenants: str = ""
) -> list[str]:
    """All problems as they are shown, with the folder left out; none tells a secret."""
    with pytest.raises(ConfigError) as refused:
        load(folder, gateways, environ, edge=edge, tenants=tenants)
    shown = repr(refused.value) + str(refused.value)
    assert SECRET not in shown
    assert THEIRS not in shown
    return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]


def keys_of(found: Gateway) -> set[str]:
    return {key.get_secret_value() for key in (found.consumer_key, found.consumer_secret, found.passkey)}


@pytest.mark.parametrize(
    ("text", "number", "account"),
    [
        (PAYBILL, "600986", None),
        (PAYBILL + 'account_number = "HOTEL7"\n', "600986", "HOTEL7"),
        (PAYBILL.replace("600986", "247247") + 'account_number = "0123456789"\n', "247247", "0123456789"),
        (TILL, "512345", None),
        (BANK, "247247", "0123456789"),
        (BANK.replace("0123456789", "0123456789012"), "247247", "0123456789012"),
    ],
)
def test_a_gateway_without_api_needs_a_number_and_no_keys(
    tmp_path: Path, text: str, number: str, account: str | None
) -> None:
    """A till, a PayBill or a bank account without API: no keys, no address to report to, any length of account."""
    found = load(tmp_path, text + BY_HAND, edge="").gateway("g")
    assert (found.type, found.has_api, found.is_phone) == (GatewayType.MPESA_NO_API, False, False)
    assert (found.shortcode, found.account_number) == (number, account)
    assert keys_of(found) == {""}
    assert (found.pull, found.c2b, found.default) == (None, False, True)


@pytest.mark.parametrize("spelling", ["0712345678", "+254 712 345 678", "254712345678", "712-345-678"])
def test_a_phone_number_is_paid_as_a_till(tmp_path: Path, spelling: str) -> None:
    """Without API the money may go to a phone, however its number is written; it comes out as people dial it."""
    found = gateway(tmp_path, TILL.replace("512345", spelling) + BY_HAND)
    assert (found.shortcode, found.is_phone) == ("0712345678", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            TILL.replace("512345", "0712345678") + KEYS,
            ['gateways.toml:4: gateway[1].shortcode: "0712345678" is not 5 to 7 digits'],
        ),
        (
            TILL.replace("512345", "0812345678") + BY_HAND,
            [
                (
                    'gateways.toml:4: gateway[1].shortcode: "0812345678" is neither 5 to 7 digits nor a mobile number '
                    "such as 0712345678"
                )
            ],
        ),
        (
            PAYBILL.replace("600986", "0712345678") + BY_HAND,
            [
                (
                    "gateways.toml:4: gateway[1].shortcode: a phone number is paid as a till is: take sub_type "
                    "BUYGOODS, not PAYBILL"
                )
            ],
        ),
        (
            BANK.replace('account_number = "0123456789"\n', "") + BY_HAND,
            [
                (
                    "gateways.toml:1: gateway[1].account_number: missing; BANK needs the bank account that receives "
                    "the money"
                )
            ],
        ),
        (
            TILL + 'account_number = "1"\n' + BY_HAND,
            [
                (
                    "gateways.toml:5: gateway[1].account_number: belongs to sub_type PAYBILL or BANK, and this gateway "
                    "is BUYGOODS"
                )
            ],
        ),
        (
            BANK.replace("0123456789", "0123 456-789") + BY_HAND,
            [
                (
                    'gateways.toml:5: gateway[1].account_number: "0123 456-789" is not an account number: letters and '
                    'digits, at most 20; did you mean "0123456789"?'
                )
            ],
        ),
        (
            '[[gateway]]\nid = "g"\n' + BY_HAND,
            [
                "gateways.toml:1: gateway[1].sub_type: missing; expected PAYBILL, BUYGOODS or BANK",
                (
                    "gateways.toml:1: gateway[1].shortcode: missing; expected the PayBill, till or bank's PayBill that "
                    "is paid, 5 to 7 digits; without API also a phone number"
                ),
            ],
        ),
    ],
)
def test_numbers_that_do_not_go_with_the_type_are_refused(tmp_path: Path, text: str, expected: list[str]) -> None:
    """Phone numbers only without API and as a till, a bank with an account, a till with none."""
    assert refusal(tmp_path, text) == expected


@pytest.mark.parametrize(
    "setting",
    [
        'consumer_key_file = "key"',
        'consumer_secret_file = "key"',
        f'passkey = "{SECRET}"',
        'store_number = "600987"',
        'business_shortcode = "600987"',
        'base_url = "https://daraja.example.com"',
        "c2b = true",
        "pull = {}",
        'pull = { nominated_number = "0712345678" }',
    ],
)
def test_a_gateway_without_api_has_no_use_for_what_an_api_needs(tmp_path: Path, setting: str) -> None:
    """Each setting that only an API has a use for is refused by name, and once."""
    key = setting.split(" ", maxsplit=1)[0]
    problems = [
        problem for problem in refusal(tmp_path, TILL + BY_HAND + setting + "\n") if "nominated_number" not in problem
    ]
    assert problems == [f"gateways.toml:6: gateway[1].{key}: MPESA_NO_API has no use for it: this gateway has no API"]


@pytest.mark.parametrize("text", [PAYBILL, TILL, BANK])
def test_an_aggregator_signs_for_a_gateway_without_keys(tmp_path: Path, text: str) -> None:
    """All keys left out: the variables' keys, short code and environment sign, and the money goes where it went."""
    found = gateway(tmp_path, text, AGGREGATOR)
    assert (found.aggregated, found.signing_shortcode, found.environment) == (True, "600999", Environment.PRODUCTION)
    assert keys_of(found) == {THEIRS}
    assert found.shortcode in text
    assert found.has_api
    assert THEIRS not in repr(found)


def test_a_gateway_with_keys_beside_one_without_keeps_its_own(tmp_path: Path) -> None:
    """The variables sign for those gateways only that have no keys."""
    config = load(tmp_path, PAYBILL.replace('"g"', '"own"') + KEYS + TILL, AGGREGATOR)
    assert [(found.id, found.aggregated, found.signing_shortcode) for found in config.gateways] == [
        ("own", False, "600986"),
        ("g", True, "600999"),
    ]
    assert keys_of(config.gateway("own")) == {SECRET}


OTHERS = TILL.replace('"g"', '"g"\ntenant = "b"')


@pytest.mark.parametrize(
    ("gateways", "tenants", "expected"),
    [
        ("", "", ["legacy"]),
        (TILL, "", ["g aggregated"]),
        (TILL + KEYS, "", ["g"]),
        (TILL + BY_HAND, "", ["g"]),
        (OTHERS + KEYS, TWO_TENANTS, ["g", "legacy"]),
        (OTHERS + BY_HAND, TWO_TENANTS, ["g", "legacy"]),
        (OTHERS, TWO_TENANTS, ["g aggregated"]),
    ],
    ids=[
        "no gateway",
        "without keys",
        "with keys",
        "without API",
        "another tenant's, with keys",
        "another tenant's, without API",
        "another tenant's, without keys",
    ],
)
def test_the_variables_mean_one_thing(tmp_path: Path, gateways: str, tenants: str, expected: list[str]) -> None:
    """An aggregator where any gateway has no keys; else the first tenant's gateway where it has none; else nothing."""
    config = load(tmp_path, gateways, AGGREGATOR, tenants=tenants)
    assert [found.id + " aggregated" * found.aggregated for found in config.gateways] == expected


def test_no_variables_and_no_keys_is_no_gateway(tmp_path: Path) -> None:
    """Without an aggregator each key is asked for."""
    assert refusal(tmp_path, TILL) == [
        f"gateways.toml:1: gateway[1].{key}_file: missing; name the file that holds the secret"
        for key in ("consumer_key", "consumer_secret", "passkey")
    ]


def test_some_keys_are_no_reason_for_an_aggregator(tmp_path: Path) -> None:
    """Keys are all one's own or all the aggregator's: the ones that are missing are named."""
    assert refusal(tmp_path, TILL + 'consumer_key_file = "key"\n', AGGREGATOR) == [
        f"gateways.toml:1: gateway[1].{key}_file: missing; name the file that holds the secret"
        for key in ("consumer_secret", "passkey")
    ]


def test_an_aggregator_that_is_not_whole_is_told_once(tmp_path: Path) -> None:
    """Variables that are missing or wrong are named, once, and the gateways are judged all the same."""
    text = TILL + 'environment = "sandbox"\n' + PAYBILL.replace('"g"', '"h"').replace("600986", "6") + PULL
    alone = {"MPESA_PASSKEY": THEIRS, "MPESA_SHORTCODE": "600999"}
    assert refusal(tmp_path, text, alone) == [
        'gateways.toml:9: gateway[2].shortcode: "6" is not 5 to 7 digits',
        *(
            f"environment: {variable}: missing; MPESA_SHORTCODE, MPESA_PASSKEY alone do not sign for gateway[1], "
            "which has no keys of its own"
            for variable in ("MPESA_CONSUMER_KEY", "MPESA_CONSUMER_SECRET")
        ),
    ]
    wrong = {**AGGREGATOR, "MPESA_SHORTCODE": "none", "MPESA_ENV": "prod"}
    assert refusal(tmp_path, TILL, wrong) == [
        'environment: MPESA_SHORTCODE: "none" is not 5 to 7 digits',
        'environment: MPESA_ENV: "prod" is not one of sandbox, production; did you mean "production"?',
    ]


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        (
            'store_number = "600987"',
            {},
            (
                "store_number: signs nothing: this gateway has no keys, so MPESA_SHORTCODE signs; take it out, or "
                "name its keys"
            ),
        ),
        (
            'environment = "sandbox"',
            {},
            (
                "environment: this gateway has no keys, and those that sign are of production, as MPESA_ENV says "
                "(left out, it says sandbox)"
            ),
        ),
        (
            'environment = "production"',
            {"MPESA_ENV": ""},
            (
                "environment: this gateway has no keys, and those that sign are of sandbox, as MPESA_ENV says "
                "(left out, it says sandbox)"
            ),
        ),
        (
            "aggregated = true",
            {},
            (
                "aggregated: unknown key; known are id, tenant, name, type, sub_type, shortcode, store_number, "
                "business_shortcode, account_number, consumer_key_file, consumer_secret_file, passkey_file, "
                "environment, base_url, ca_file, default, for_hotspot, for_pppoe, queries_per_minute, c2b, pull"
            ),
        ),
        (
            "c2b = true",
            {},
            ("c2b: not with an aggregator's keys: M-Pesa tells it of money to its own number, not of yours"),
        ),
    ],
)
def test_a_gateway_does_not_contradict_its_aggregator(
    tmp_path: Path, setting: str, environ: dict[str, str], expected: str
) -> None:
    """What a gateway without keys says of its signing has to be what the variables say."""
    [problem] = refusal(tmp_path, f"{TILL}{setting}\n", {**AGGREGATOR, **environ})
    assert problem == f"gateways.toml:5: gateway[1].{expected}"


@pytest.mark.parametrize(
    "text",
    [
        PAYBILL.replace("600986", "600999"),
        TILL + 'store_number = "600999"\n',
    ],
)
def test_variables_of_the_gateways_own_number_are_its_own_keys(tmp_path: Path, text: str) -> None:
    """Where the number that signs is the one that is paid, M-Pesa tells it of its payments: C2B and Pull work."""
    found = gateway(tmp_path, f"{text}c2b = true\n{PULL}", AGGREGATOR)
    assert (found.c2b, found.pull is not None) == (True, True)


@pytest.mark.parametrize(
    ("settings", "every"),
    [("", timedelta(minutes=5)), ('every = "1m"\n', timedelta(minutes=1)), ('every = "6h"\n', timedelta(hours=6))],
)
@pytest.mark.parametrize("text", [PAYBILL + KEYS, TILL + KEYS, TILL + KEYS + 'store_number = "600987"\n'])
def test_the_presence_of_pull_turns_it_on(tmp_path: Path, text: str, settings: str, every: timedelta) -> None:
    """Pull needs the nominated number, and goes round every five minutes where nothing else is said."""
    pull = gateway(tmp_path, text + PULL + settings).pull
    assert pull is not None
    assert (pull.nominated_number, pull.every) == (Msisdn("254712345678"), every)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            PAYBILL + KEYS + "[gateway.pull]\n",
            (
                "gateways.toml:8: gateway[1].pull.nominated_number: missing; expected the Safaricom number that M-Pesa "
                "has on record for the short code"
            ),
        ),
        (
            PAYBILL + KEYS + "pull = true\n",
            "gateways.toml:8: gateway[1].pull: true is not a table",
        ),
        (
            PAYBILL + KEYS + PULL.replace("0712 345 678", "020 345 678"),
            (
                "gateways.toml:9: gateway[1].pull.nominated_number: '020 345 678' is no Safaricom number; write it as "
                "0712 345 678 or 0110 345 678"
            ),
        ),
        (
            PAYBILL + KEYS + PULL + 'every = "7h"\n',
            'gateways.toml:10: gateway[1].pull.every: "7h" is not between 1m and 6h',
        ),
        (
            PAYBILL + KEYS + PULL + 'evry = "5m"\n',
            (
                "gateways.toml:10: gateway[1].pull.evry: unknown key; known are nominated_number, every; "
                'did you mean "every"?'
            ),
        ),
        (
            OWN_BANK + PULL,
            (
                "gateways.toml:10: gateway[1].pull: not for BANK: M-Pesa tells of money to your own number, and this "
                "goes to the bank's"
            ),
        ),
        (
            OWN_BANK + "c2b = true\n",
            (
                "gateways.toml:10: gateway[1].c2b: not for BANK: M-Pesa tells of money to your own number, and this "
                "goes to the bank's"
            ),
        ),
    ],
)
def test_pull_and_c2b_that_cannot_work_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    """A missing or wrong number, a pace out of bounds, and money that never touches the own short code."""
    assert refusal(tmp_path, text) == [expected]


def test_c2b_needs_an_address_to_report_to(tmp_path: Path) -> None:
    """Without a public address neither pushes nor confirmations work, and both are said."""
    assert [problem.split(";")[0] for problem in refusal(tmp_path, PAYBILL + KEYS + "c2b = true\n", edge="")] == [
        "edge.toml: callbacks.public_url: missing",
        "gateways.toml:8: gateway[1].c2b: needs callbacks.public_url in edge.toml, where M-Pesa is to confirm payments",
    ]
    old = {"MPESA_CALLBACK_URL": "https://old.example.com/callback"}
    assert load(tmp_path, PAYBILL + KEYS + "c2b = true\n", old, edge="").gateway("g").c2b


def test_gateways_can_be_told_apart_and_looked_up(tmp_path: Path) -> None:
    """Gateways with all settings are values: equal when read twice, and fit to be keys."""
    once, again = (gateway(tmp_path, PAYBILL + KEYS + PULL) for _ in range(2))
    other = gateway(tmp_path, PAYBILL + KEYS + PULL + 'every = "6m"\n')
    assert len({once, again, other}) == 2


@pytest.mark.parametrize(
    ("setting", "span"),
    [("", None), ('provisional_access = "0m"', None), ('provisional_access = "0h"', None)]
    + [(f'provisional_access = "{text}"', timedelta(minutes=at)) for text, at in (("1m", 1), ("60m", 60), ("1h", 60))],
)
def test_provisional_access_is_off_unless_given(tmp_path: Path, setting: str, span: timedelta | None) -> None:
    """None where it is left out or no time at all, else from a minute to an hour."""
    tenants = f'[[tenant]]\nid = "a"\nname = "A"\n{setting}\n'
    [tenant] = load(tmp_path, "", tenants=tenants).tenants
    assert (tenant.provisional_access, tenant.short_payment) == (span, ShortPayment.WALLET)


def test_too_little_may_buy_the_best_package(tmp_path: Path) -> None:
    """The tenant chooses what becomes of a payment that is too small."""
    tenants = '[[tenant]]\nid = "a"\nname = "A"\nshort_payment = "best_package"\n'
    assert load(tmp_path, "", tenants=tenants).tenants[0].short_payment is ShortPayment.BEST_PACKAGE


def test_limits_are_kind_unless_given(tmp_path: Path) -> None:
    """What is left out is what a small site needs; what is given holds."""
    limits = load(tmp_path, "", edge="[limits]\nrest_minutes = 5\nclaims_per_site_hour = 1000\n").edge.limits
    assert limits.model_dump() == {
        "pushes_per_phone_hour": 3,
        "pushes_per_device_hour": 6,
        "pushes_per_site_minute": 20,
        "cancels_per_phone_day": 3,
        "rest_minutes": 5,
        "claims_per_device_hour": 6,
        "claims_per_site_hour": 1000,
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/run/easyisp-edge/control.sock"),
        ('[control]\npath = "/run/other.sock"\n', "/run/other.sock"),
        ('[control]\npath = "c.sock"\n', "{folder}/c.sock"),
    ],
)
def test_the_control_socket_stands_where_it_is_put(tmp_path: Path, text: str, path: str) -> None:
    """A relative path is relative to the configuration, as the store's is."""
    assert str(load(tmp_path, "", edge=text).edge.control.path) == path.replace("{folder}", str(tmp_path))
