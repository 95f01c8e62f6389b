"""What M-Pesa would refuse at the first payment is refused when the configuration is read, with M-Pesa's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from easyisp_edge.config import ConfigError, load_config
from easyisp_edge.config.daraja_answers import BANKS, SANDBOX_PASSKEY, late_answers
from easyisp_edge.config.gateway_rules import gateway_conditions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAYBILL = 'sub_type = "PAYBILL"\nshortcode = "600986"\n'
TILL = 'sub_type = "BUYGOODS"\nshortcode = "512345"\nstore_number = "600987"\n'
BANK = 'sub_type = "BANK"\nshortcode = "247247"\nbusiness_shortcode = "600986"\naccount_number = "012345678901"\n'
KEYS = 'consumer_key_file = "key"\nconsumer_secret_file = "key"\n'
OWN_PASSKEY = 'passkey_file = "key"\n'
SANDBOX_PASSKEY_LINE = 'passkey_file = "sandbox"\n'
BY_HAND = 'type = "MPESA_NO_API"\n'
SANDBOX = 'environment = "sandbox"\n'
ELSEWHERE = 'base_url = "https://daraja.example.com"\n'
THEIRS = {
    "MPESA_CONSUMER_KEY": "k",
    "MPESA_CONSUMER_SECRET": "k",
    "MPESA_SHORTCODE": "600999",
    "MPESA_PASSKEY": "k",
    "MPESA_ENV": "production",
}
NO_SHORTCODE = (
    'is the sandbox\'s number, to which production answers "Merchant does not exist" (500.001.1001); give your own, '
    "or take the environment sandbox"
)
NO_PASSKEY = (
    'that is the sandbox\'s passkey, to which production answers "Wrong credentials" (500.001.1001); give the one of '
    "your short code, or take the environment sandbox"
)
AS_BANK = "take sub_type BANK, and give the account_number that receives the money"
NOT_YOURS = (
    'whose passkey only the bank has: M-Pesa answers "Wrong credentials" (500.001.1001); give the number of your own '
    "that went live with the API"
)


def read(folder: Path, gateway: str, environ: Mapping[str, str]) -> list[str]:
    """The problems of a configuration with that gateway, with the folder left out."""
    (folder / "edge.toml").write_text('[callbacks]\npublic_url = "https://pay.example.com"\n')
    (folder / "gateways.toml").write_text(f'[[gateway]]\nid = "g"\n{gateway}')
    for name, secret in (("key", "secret"), ("sandbox", SANDBOX_PASSKEY)):
        (folder / name).write_text(f"{secret}\n")
        (folder / name).chmod(0o600)
    try:
        load_config(folder, environ)
    except ConfigError as error:
        return [str(problem).removeprefix(f"{folder}/") for problem in error.problems]
    return []


def like(text: str, **changes: str) -> str:
    """The settings with some values exchanged."""
    for old, new in changes.items():
        number = old.removeprefix("n")
        assert number in text
        text = text.replace(number, new)
    return text


WRONG: dict[str, tuple[str, Mapping[str, str], str]] = {
    "sandbox number of a PayBill": (
        like(PAYBILL, n600986="174379") + KEYS + OWN_PASSKEY,
        {},
        f"gateways.toml:4: gateway[1].shortcode: 174379 {NO_SHORTCODE}",
    ),
    "sandbox number of a till that signs for itself": (
        'sub_type = "BUYGOODS"\nshortcode = "174379"\n' + KEYS + OWN_PASSKEY,
        {},
        f"gateways.toml:4: gateway[1].shortcode: 174379 {NO_SHORTCODE}",
    ),
    "sandbox number of a store": (
        like(TILL, n600987="174379") + KEYS + OWN_PASSKEY + 'environment = "production"\n',
        {},
        f"gateways.toml:5: gateway[1].store_number: 174379 {NO_SHORTCODE}",
    ),
    "sandbox number that signs for a bank": (
        like(BANK, n600986="174379") + KEYS + OWN_PASSKEY,
        {},
        f"gateways.toml:5: gateway[1].business_shortcode: 174379 {NO_SHORTCODE}",
    ),
    "sandbox passkey": (
        PAYBILL + KEYS + SANDBOX_PASSKEY_LINE,
        {},
        f"gateways.toml:7: gateway[1].passkey_file: {NO_PASSKEY}",
    ),
    "sandbox number of the aggregator": (
        PAYBILL,
        {**THEIRS, "MPESA_SHORTCODE": "174379"},
        f"environment: MPESA_SHORTCODE: 174379 {NO_SHORTCODE}",
    ),
    "sandbox passkey of the aggregator": (
        PAYBILL,
        {**THEIRS, "MPESA_PASSKEY": SANDBOX_PASSKEY},
        f"environment: MPESA_PASSKEY: {NO_PASSKEY}",
    ),
    "a bank's PayBill as one's own": (
        like(PAYBILL, n600986="522522") + KEYS + OWN_PASSKEY,
        {},
        (
            "gateways.toml:4: gateway[1].shortcode: 522522 is the PayBill of KCB: its passkey is not yours, and M-Pesa "
            f'answers "Wrong credentials" (500.001.1001); {AS_BANK}'
        ),
    ),
    "a bank's PayBill without account, through the aggregator": (
        like(PAYBILL, n600986="400222"),
        THEIRS,
        (
            "gateways.toml:4: gateway[1].shortcode: 400222 is the PayBill of Co-operative Bank: M-Pesa answers 2028, "
            f"or the money goes to no account of yours; {AS_BANK}"
        ),
    ),
    "a bank's PayBill without account, by hand": (
        like(PAYBILL, n600986="247247") + BY_HAND,
        {},
        (
            "gateways.toml:4: gateway[1].shortcode: 247247 is the PayBill of Equity Bank: without your account there "
            f"the money cannot find you; {AS_BANK}"
        ),
    ),
    "a bank's PayBill as a till": (
        like(TILL, n512345="247247") + KEYS + OWN_PASSKEY,
        {},
        (
            "gateways.toml:4: gateway[1].shortcode: 247247 is the PayBill of Equity Bank and no till: M-Pesa answers "
            f"SFC_IC0003; {AS_BANK}"
        ),
    ),
    "a bank's PayBill as store": (
        like(TILL, n600987="247247") + KEYS + OWN_PASSKEY,
        {},
        f"gateways.toml:5: gateway[1].store_number: 247247 is the PayBill of Equity Bank, {NOT_YOURS}",
    ),
    "a bank's PayBill that signs": (
        like(BANK, n600986="247247") + KEYS + OWN_PASSKEY,
        {},
        f"gateways.toml:5: gateway[1].business_shortcode: 247247 is the PayBill of Equity Bank, {NOT_YOURS}",
    ),
    "a till as its own store": (
        like(TILL, n600987="512345") + KEYS + OWN_PASSKEY,
        {},
        (
            "gateways.toml:5: gateway[1].store_number: the same as shortcode; leave it out if the till itself went "
            "live with the API, else give the store or head office number that did: to a till that signs without it "
            'M-Pesa answers SFC_IC0003, "The operator does not exist"'
        ),
    ),
    "a bank account with blanks": (
        like(BANK, n012345678901="0123 456 789") + KEYS + OWN_PASSKEY,
        {},
        (
            'gateways.toml:6: gateway[1].account_number: "0123 456 789" is not an account number: letters and digits, '
            'at most 20; did you mean "0123456789"?'
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_is_surely_wrong_is_said_with_the_answer_it_would_get(
    tmp_path: Path, case: tuple[str, Mapping[str, str], str]
) -> None:
    """One wrong pair gives one problem: the key, what M-Pesa would answer, and what to do."""
    gateway, environ, expected = case
    assert read(tmp_path, gateway, environ) == [expected]


RIGHT: dict[str, tuple[str, Mapping[str, str]]] = {
    "the sandbox in its environment": (
        like(PAYBILL, n600986="174379") + KEYS + SANDBOX_PASSKEY_LINE + SANDBOX,
        {},
    ),
    "the sandbox's number behind another address": (
        like(PAYBILL, n600986="174379") + KEYS + SANDBOX_PASSKEY_LINE + ELSEWHERE,
        {},
    ),
    "another address with an aggregator": (PAYBILL + ELSEWHERE, {**THEIRS, "MPESA_SHORTCODE": "174379"}),
    "a till whose store is a number of the sandbox": (TILL + KEYS + OWN_PASSKEY, {}),
    "a till with the sandbox's number that a store signs for": (
        like(TILL, n512345="174379") + KEYS + OWN_PASSKEY,
        {},
    ),
    "a bank with twelve characters": (BANK + KEYS + OWN_PASSKEY, {}),
    "a bank whose PayBill is not known here": (like(BANK, n247247="111777") + KEYS + OWN_PASSKEY, {}),
    "a bank's PayBill by hand, with an account": (
        like(PAYBILL, n600986="247247") + 'account_number = "0123456789012"\n' + BY_HAND,
        {},
    ),
    "the aggregator's sandbox": (PAYBILL, {**THEIRS, "MPESA_SHORTCODE": "174379", "MPESA_ENV": ""}),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT.keys())
def test_what_may_be_right_is_taken(tmp_path: Path, case: tuple[str, Mapping[str, str]]) -> None:
    """Nothing is refused on a guess, and nothing of an address that is not Safaricom's."""
    assert read(tmp_path, *case) == []


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=14),
    st.sampled_from([*BANKS, "174379", "PAYBILL", "BUYGOODS", "BANK", "MPESA_API", "MPESA_NO_API", "production"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.builds(SecretStr, st.sampled_from(["", SANDBOX_PASSKEY])),
)
NAMES = st.sampled_from(
    [
        *("type", "sub_type", "shortcode", "store_number", "business_shortcode", "account_number", "consumer_key"),
        *("consumer_secret", "passkey", "passkey_file", "environment", "base_url", "aggregated", "pull", "c2b"),
    ]
)


@given(table=st.dictionaries(NAMES, VALUES))
def test_any_table_can_be_judged(table: dict[str, object]) -> None:
    """Whatever kinds of value a table holds, the rules give keys and sentences, and never the passkey."""
    for key, message in [*gateway_conditions(table), *late_answers(table)]:
        assert key.isidentifier()
        assert message
        assert SANDBOX_PASSKEY not in message
