from __future__ import annotations

import contextlib
import json
import os
import tomllib
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easyisp_edge.config import ConfigError, load_config
from tests.fakes.certificates import pem_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "s3cret-that-nobody-may-read-7f1c"
RIGHT = {
    "edge": '[callbacks]\npublic_url = "https://pay.example.com"\n',
    "tenants": '[[tenant]]\nid = "north"\nname = "North"\n[[tenant]]\nid = "south"\nname = "South"\n',
    "packages": """[[package]]
id = "1h"
tenant = "north"
name = "1 hour"
price = 10
duration = "1h"
speed = "5M"
routers = ["hall"]
[[package]]
id = "1h"
tenant = "south"
name = "1 hour"
price = 20
duration = "1h"
speed = "5M"
""",
    "gateways": """[[gateway]]
id = "paybill"
tenant = "north"
sub_type = "PAYBILL"
shortcode = "600986"
consumer_key_file = "secret"
consumer_secret_file = "secret"
passkey_file = "secret"
[[gateway]]
id = "till"
tenant = "south"
sub_type = "BUYGOODS"
shortcode = "512345"
store_number = "600987"
consumer_key_file = "secret"
consumer_secret_file = "secret"
passkey_file = "secret"
""",
    "routers": """[[router]]
id = "hall"
tenant = "north"
address = "10.0.0.1"
mode = "hotspot-user"
[router.api]
username = "edge"
password_file = "secret"
certificate_file = "router.pem"
[[router]]
id = "yard"
tenant = "south"
address = "10.0.0.2"
mode = "radius"
login_url = "http://10.0.0.2/login"
radius.secret_file = "secret"
""",
    "portal": 'title = "Wi-Fi"\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A right configuration, whose secrets are all the same."""
    for name, text in RIGHT.items():
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "router.pem").write_text(pem_text("other"))
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Change the first occurrence of `old`; at the end of the file where `old` is empty."""
    path = folder / f"{file}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) if old else text + new)


def refusal(folder: Path) -> list[str]:
    """All problems as they are shown, with the folder left out; nothing of the error tells a secret."""
    with pytest.raises(ConfigError) as refused:
        load_config(folder, {})
    error: BaseException | None = refused.value
    while error is not None:
        assert SECRET not in repr(error) + str(error)
        error = error.__cause__ or error.__context__
    return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]


def test_the_starting_point_is_right(folder: Path) -> None:
    """The configuration that each case below spoils in one place loads."""
    assert len(load_config(folder, {}).gateways) == 2


CASES = {
    "wrong choice": (
        ("gateways", "PAYBILL", "PAYBIL"),
        'gateways.toml:4: gateway[1].sub_type: "PAYBIL" is not one of PAYBILL, BUYGOODS, BANK; did you mean "PAYBILL"?',
    ),
    "wrong case": (
        ("routers", '"radius"', '"RADIUS"'),
        'routers.toml:14: router[2].mode: "RADIUS" is not one of hotspot-user, radius; did you mean "radius"?',
    ),
    "unknown type": (
        ("gateways", "sub_type", 'type = "MPESA_NOAPI"\nsub_type'),
        (
            'gateways.toml:4: gateway[1].type: "MPESA_NOAPI" is not one of MPESA_API, MPESA_NO_API; '
            'did you mean "MPESA_NO_API"?'
        ),
    ),
    "unknown table": (
        ("routers", "[[router]]", "[[routr]]\n[[router]]"),
        'routers.toml:1: routr: unknown; known here is [[router]]; did you mean "router"?',
    ),
    "one table where a list belongs": (
        ("portal", "", "[portal]\n"),
        (
            "portal.toml:2: portal: unknown key; known are title, support_phone, default_language, logo_file, "
            "primary_colour, note, venue_info_url"
        ),
    ),
    "unknown key within a table": (
        ("routers", "username", "tsl = true\nusername"),
        (
            "routers.toml:7: router[1].api.tsl: unknown key; known are tls, port, username, password_file, "
            'certificate_file, ca_file, timeout_seconds; did you mean "tls"?'
        ),
    ),
    "key of the file's own below a table": (
        ("edge", "", "[central]\ndevelopment = true\n"),
        (
            "edge.toml:4: central.development: unknown key; known are callbacks, ca_file, free_space; "
            "development belongs above [central]"
        ),
    ),
    "key of tables above the first": (
        ("edge", "[callbacks]", "port = 80\n[callbacks]"),
        (
            "edge.toml:1: port: unknown key; known are development, portal, admin, callbacks, radius, freeradius, "
            "mpesa, store, limits, control, central; port belongs under [portal] or under [admin] or under [callbacks]"
        ),
    ),
    "key of the gateway below its table": (
        ("gateways", "", '[gateway.pull]\nnominated_number = "0712345678"\nc2b = true\n'),
        (
            "gateways.toml:20: gateway[2].pull.c2b: unknown key; known are nominated_number, every; "
            "c2b belongs above [gateway.pull]"
        ),
    ),
    "missing key": (
        ("packages", 'name = "1 hour"\nprice = 20', "price = 20"),
        "packages.toml:9: package[2].name: missing; expected as the customer reads it",
    ),
    "number for text": (
        ("gateways", '"512345"', "512345"),
        'gateways.toml:13: gateway[2].shortcode: 512345 is not text in quotes; did you mean "512345"?',
    ),
    "text for a number": (
        ("packages", "price = 20", 'price = "20"'),
        (
            "packages.toml:13: package[2].price: has to be whole shillings, as a number without quotes or decimals; "
            'did you mean "20"?'
        ),
    ),
    "truth for a number": (
        ("packages", "", "devices = true\n"),
        "packages.toml:16: package[2].devices: true is not a whole number",
    ),
    "text for truth": (
        ("packages", "", 'active = "no"\n'),
        'packages.toml:16: package[2].active: "no" is not true or false, without quotes',
    ),
    "text for a list": (
        ("packages", '["hall"]', '"hall"'),
        'packages.toml:8: package[1].routers: "hall" is not a list in square brackets',
    ),
    "date for text": (
        ("tenants", '"North"', "2026-01-31"),
        "tenants.toml:3: tenant[1].name: a date or time is not text in quotes",
    ),
    "endless time": (
        ("routers", "username", "timeout_seconds = inf\nusername"),
        "routers.toml:7: router[1].api.timeout_seconds: inf is not a number",
    ),
    "out of range": (
        ("routers", "username", "port = 70000\nusername"),
        "routers.toml:7: router[1].api.port: 70000 is too large; at most 65535",
    ),
    "interim faster than the standard permits": (
        ("routers", "", "radius.interim_seconds = 30\n"),
        "routers.toml:17: router[2].radius.interim_seconds: 30 is too small; at least 60",
    ),
    "no port for orders": (
        ("routers", "", "radius.incoming_port = 0\n"),
        "routers.toml:17: router[2].radius.incoming_port: 0 is too small; at least 1",
    ),
    "a port for orders in quotes": (
        ("routers", "", 'radius.incoming_port = "3799"\n'),
        'routers.toml:17: router[2].radius.incoming_port: "3799" is not a whole number',
    ),
    "a pool that is no name": (
        ("routers", "", "radius.pppoe_pool = 5\n"),
        'routers.toml:17: router[2].radius.pppoe_pool: 5 is not text in quotes; did you mean "5"?',
    ),
    "a pool without a name": (
        ("routers", "", 'radius.pppoe_pool = ""\n'),
        'routers.toml:17: router[2].radius.pppoe_pool: "" is not 1 to 64 plain characters',
    ),
    "free of charge": (
        ("packages", "price = 10", "price = 0"),
        "packages.toml:5: package[1].price: M-Pesa takes from 1 to 250000 shillings at once",
    ),
    "no duration": (
        ("packages", '"1h"\nspeed', '"60"\nspeed'),
        'packages.toml:6: package[1].duration: "60" is no duration such as 30m, 24h, 7d or 1d12h',
    ),
    "endless duration": (
        ("packages", '"1h"\nspeed', '"53w"\nspeed'),
        'packages.toml:6: package[1].duration: "53w" is not between a minute and a year',
    ),
    "domain's own refusal": (
        ("packages", '"5M"', '"fast"'),
        "packages.toml:7: package[1].speed: 'fast' is no speed such as 5M, or 2M/5M for up/down",
    ),
    "more time online than it is valid": (
        ("packages", "", 'online = "2h"\n'),
        "packages.toml:16: package[2].online: is longer than duration, which says how long the package is valid",
    ),
    "time online that is none": (
        ("packages", "", 'online = "3"\n'),
        'packages.toml:16: package[2].online: "3" is no duration such as 30m, 24h, 7d or 1d12h',
    ),
    "hours as people say them": (
        ("packages", "", 'hours = "10pm-6am"\n'),
        ('packages.toml:16: package[2].hours: "10pm-6am" is no hours such as 22:00-06:00; did you mean "22:00-06:00"?'),
    ),
    "hours without minutes": (
        ("packages", "", 'hours = "9 to 17.30"\n'),
        (
            'packages.toml:16: package[2].hours: "9 to 17.30" is no hours such as 22:00-06:00; '
            'did you mean "09:00-17:30"?'
        ),
    ),
    "hours no clock shows": (
        ("packages", "", 'hours = "22:00-25:00"\n'),
        'packages.toml:16: package[2].hours: "22:00-25:00" is no hours such as 22:00-06:00',
    ),
    "hours that no clock could show": (
        ("packages", "", 'hours = "22-26"\n'),
        'packages.toml:16: package[2].hours: "22-26" is no hours such as 22:00-06:00',
    ),
    "hours without quotes": (
        ("packages", "", "hours = 22:00:00\n"),
        "packages.toml:16: package[2].hours: a date or time is not text in quotes",
    ),
    "days among the hours": (
        ("packages", "", 'hours = "fri,sat 22:00-06:00"\n'),
        'packages.toml:16: package[2].hours: "fri,sat 22:00-06:00" has days in it; they belong under days',
    ),
    "hours that are the whole day": (
        ("packages", "", 'hours = "06:00-06:00"\n'),
        'packages.toml:16: package[2].hours: "06:00-06:00" is the whole day; leave hours out for that',
    ),
    "a day written out": (
        ("packages", "", 'days = ["fri", "Saturday"]\n'),
        (
            'packages.toml:16: package[2].days[2]: "Saturday" is not one of mon, tue, wed, thu, fri, sat, sun; '
            'did you mean "sat"?'
        ),
    ),
    "a day that is none": (
        ("packages", "", 'days = ["xyz"]\n'),
        'packages.toml:16: package[2].days[1]: "xyz" is not one of mon, tue, wed, thu, fri, sat, sun',
    ),
    "no day at all": (
        ("packages", "", "days = []\n"),
        "packages.toml:16: package[2].days: names no day; leave it out for every day",
    ),
    "one day where a list belongs": (
        ("packages", "", 'days = "fri"\n'),
        'packages.toml:16: package[2].days: "fri" is not a list in square brackets',
    ),
    "a language we do not speak": (
        ("packages", "", 'language = "swa"\n'),
        'packages.toml:16: package[2].language: "swa" is not one of en, sw; did you mean "sw"?',
    ),
    "speed in other units": (
        ("packages", '"5M"', '"2 Mbps / 5 Mbps"'),
        (
            "packages.toml:7: package[1].speed: '2 Mbps / 5 Mbps' is no speed such as 5M, or 2M/5M for up/down; "
            'did you mean "2M / 5M"?'
        ),
    ),
    "a burst that is none": (
        ("packages", '"5M"', '"2M/5M fast"'),
        'packages.toml:7: package[1].speed: "fast" is no burst speed such as 4M/10M',
    ),
    "a burst below the speed": (
        ("packages", '"5M"', '"2M/5M 1M/10M"'),
        "packages.toml:7: package[1].speed: '2M/5M 1M/10M' has a burst below its speed",
    ),
    "no seconds for a burst": (
        ("packages", '"5M"', '"2M/5M 4M/10M 1500k/4M 10s/10s"'),
        'packages.toml:7: package[1].speed: "10s/10s" is no number of burst seconds such as 10/10',
    ),
    "no such priority": (
        ("packages", '"5M"', '"2M/5M 4M/10M 1500k/4M 10/10 9"'),
        'packages.toml:7: package[1].speed: "9" is no priority from 1 to 8',
    ),
    "more than belongs to a speed": (
        ("packages", '"5M"', '"5M 6M 4M 10 8 1M 1M"'),
        "packages.toml:7: package[1].speed: '5M 6M 4M 10 8 1M 1M' is no speed such as 5M, or 2M/5M for up/down",
    ),
    "unknown tenant": (
        ("gateways", '"south"', '"sotuh"'),
        'gateways.toml:11: gateway[2].tenant: there is no tenant "sotuh"; known: north, south; did you mean "south"?',
    ),
    "tenant left out where there are two": (
        ("routers", 'tenant = "north"\n', ""),
        "routers.toml:1: router[1].tenant: missing; expected the id of one of the tenants",
    ),
    "unknown router": (
        ("packages", '["hall"]', '[\n  "hall",\n  "hal",\n]'),
        'packages.toml:10: package[1].routers[2]: there is no router "hal"; known: hall, yard; did you mean "hall"?',
    ),
    "another tenant's router": (
        ("packages", '["hall"]', '["yard"]'),
        'packages.toml:8: package[1].routers[1]: router "yard" belongs to another tenant',
    ),
    "id twice": (
        ("routers", '"yard"', '"hall"'),
        'routers.toml:11: router[2].id: "hall" is the id of router[1] in line 1',
    ),
    "package twice": (
        ("packages", '"south"', '"north"'),
        'packages.toml:10: package[2].id: "1h" is the id of package[1] in line 1',
    ),
    "two defaults": (
        (
            "gateways",
            "[[gateway]]",
            (
                '[[gateway]]\nid="x"\ntenant="north"\ndefault=true\nsub_type="PAYBILL"\n'
                'shortcode="600986"\nconsumer_key_file="secret"\nconsumer_secret_file="secret"\npasskey_file="secret"\n'
                "[[gateway]]\ndefault = true"
            ),
        ),
        'gateways.toml:11: gateway[2].default: gateway[1] is the default of "north" already',
    ),
    "RADIUS address twice": (
        (
            "routers",
            "",
            (
                '[[router]]\nid = "z"\ntenant = "south"\naddress = "10.0.0.2"\nmode = "radius"\n'
                'login_url = "http://10.0.0.2/login"\nradius.secret_file = "secret"\n'
            ),
        ),
        (
            "routers.toml:20: router[3].address: 10.0.0.2 is the address of router[2] too, and RADIUS knows a router "
            "and its secret by the address alone"
        ),
    ),
    "store of a PayBill": (
        ("gateways", 'shortcode = "600986"', 'shortcode = "600986"\nstore_number = "600986"'),
        "gateways.toml:6: gateway[1].store_number: belongs to sub_type BUYGOODS, and this gateway is PAYBILL",
    ),
    "bank without account and short code": (
        ("gateways", "PAYBILL", "BANK"),
        (
            "gateways.toml:1: gateway[1].business_shortcode: missing; BANK needs your own short code that went live "
            "with the API"
        ),
        "gateways.toml:1: gateway[1].account_number: missing; BANK needs the bank account that receives the money",
    ),
    "short payment": (
        ("tenants", "", 'short_payment = "best package"\n'),
        (
            'tenants.toml:7: tenant[2].short_payment: "best package" is not one of wallet, best_package; '
            'did you mean "best_package"?'
        ),
    ),
    "provisional access for too long": (
        ("tenants", "", 'provisional_access = "2h"\n'),
        'tenants.toml:7: tenant[2].provisional_access: "2h" is not between 0m and 60m',
    ),
    "provisional access in no unit": (
        ("tenants", "", 'provisional_access = "10"\n'),
        ('tenants.toml:7: tenant[2].provisional_access: "10" is no duration such as 30m, 24h, 7d or 1d12h'),
    ),
    "no prompt ever": (
        ("edge", "", "[limits]\npushes_per_phone_hour = 0\n"),
        "edge.toml:4: limits.pushes_per_phone_hour: 0 is too small; at least 1",
    ),
    "more prompts than M-Pesa takes": (
        ("edge", "", "[limits]\npushes_per_phone_hour = 61\n"),
        "edge.toml:4: limits.pushes_per_phone_hour: 61 is too large; at most 60",
    ),
    "mistyped limit": (
        ("edge", "", "[limits]\nrest_minute = 5\n"),
        (
            "edge.toml:4: limits.rest_minute: unknown key; known are pushes_per_phone_hour, pushes_per_device_hour, "
            "pushes_per_site_minute, cancels_per_phone_day, rest_minutes, claims_per_device_hour, "
            'claims_per_site_hour; did you mean "rest_minutes"?'
        ),
    ),
    "limit in quotes": (
        ("edge", "", '[limits]\nclaims_per_site_hour = "120"\n'),
        'edge.toml:4: limits.claims_per_site_hour: "120" is not a whole number',
    ),
    "socket with too long a path": (
        ("edge", "", f'[control]\npath = "/run/{"x" * 103}"\n'),
        "edge.toml:4: control.path: longer than 107 octets, all that the path of a socket may have",
    ),
    "socket that is a folder": (
        ("edge", "", '[control]\npath = "/run/"\n'),
        "edge.toml:4: control.path: has to be the path of a file",
    ),
    "socket in the store's place": (
        ("edge", "", '[control]\npath = "same"\n[store]\npath = "same"\n'),
        "edge.toml:4: control.path: is the path of store too",
    ),
    "no API for a mode that needs it": (
        (
            "routers",
            '[router.api]\nusername = "edge"\npassword_file = "secret"\ncertificate_file = "router.pem"\n',
            "",
        ),
        "routers.toml:1: router[1].api: missing; mode hotspot-user writes users by the RouterOS API",
    ),
    "no way to let devices on": (
        ("routers", 'login_url = "http://10.0.0.2/login"\n', ""),
        (
            "routers.toml:10: router[2].login_url: missing; without api the customer's page has to know where the "
            "login form goes"
        ),
    ),
    "no RADIUS secret": (
        ("routers", 'radius.secret_file = "secret"\n', ""),
        "routers.toml:10: router[2].radius: missing; mode radius needs the secret shared with the router",
    ),
    "authority that is not there": (
        ("routers", 'certificate_file = "router.pem"', 'ca_file = "nowhere.pem"'),
        'routers.toml:9: router[1].api.ca_file: there is no file "nowhere.pem" in {folder}',
    ),
    "authority that is none": (
        ("routers", 'certificate_file = "router.pem"', 'ca_file = "edge.toml"'),
        'routers.toml:9: router[1].api.ca_file: "edge.toml" does not end in .pem, .crt, .cer',
    ),
    "authority without TLS": (
        ("routers", 'certificate_file = "router.pem"', 'tls = false\nca_file = "ca.pem"'),
        "routers.toml:10: router[1].api.ca_file: is of use only with tls = true",
    ),
    "certificate without TLS": (
        ("routers", "username", "tls = false\nusername"),
        "routers.toml:10: router[1].api.certificate_file: is of use only with tls = true",
    ),
    "authority beside a certificate": (
        ("routers", "username", 'ca_file = "ca.pem"\nusername'),
        "routers.toml:7: router[1].api.ca_file: is of no use beside certificate_file; keep one",
    ),
    "TLS with nobody": (
        ("routers", 'certificate_file = "router.pem"\n', ""),
        (
            "routers.toml:6: router[1].api.certificate_file: missing; easyisp-edge router certificate ID --save writes"
            " the router's certificate, which proves that it is the router; tls = false does without, on a wire that"
            " nobody else can reach"
        ),
    ),
    "certificate that is not there": (
        ("routers", "router.pem", "nowhere.pem"),
        (
            'routers.toml:9: router[1].api.certificate_file: there is no file "nowhere.pem" in {folder}; it is written'
            " by easyisp-edge router certificate ID --save"
        ),
    ),
    "certificate that is none": (
        ("routers", "router.pem", "edge.toml"),
        (
            'routers.toml:9: router[1].api.certificate_file: "edge.toml" holds no certificate in PEM, and has to hold'
            " one: the router's own; it is written by easyisp-edge router certificate ID --save"
        ),
    ),
    "certificate that was cut short": (
        ("routers", "router.pem", "ca.pem"),
        (
            'routers.toml:9: router[1].api.certificate_file: "ca.pem" holds no certificate in PEM, and has to hold'
            " one: the router's own; it is written by easyisp-edge router certificate ID --save"
        ),
    ),
    "router at no address": (
        ("routers", '"10.0.0.1"', '"0.0.0.0"'),
        'routers.toml:4: router[1].address: "0.0.0.0" is not the address of one router',
    ),
    "network with a host's address": (
        ("routers", 'mode = "radius"', 'mode = "radius"\nhotspot_networks = ["10.0.9.0/24", "10.0.8.1/24"]'),
        (
            'routers.toml:15: router[2].hotspot_networks[2]: "10.0.8.1/24" is no whole network; '
            'did you mean "10.0.8.0/24"?'
        ),
    ),
    "admin door open to customers": (
        ("edge", "", '[admin]\naddress = "::"\n'),
        "edge.toml:4: admin.address: :: lets customers reach it; take 127.0.0.1 or a management network's address",
    ),
    "doors that collide": (
        ("edge", "", "[admin]\nport = 80\n"),
        "edge.toml:4: admin.port: 80 is the port of portal too",
    ),
    "callback address left out": (
        ("edge", 'public_url = "https://pay.example.com"\n', ""),
        (
            "edge.toml:1: callbacks.public_url: missing; M-Pesa takes no push without an https address to report to, "
            "even one that cannot reach this box: give one of your own"
        ),
    ),
    "callback address without https": (
        ("edge", "https", "http"),
        'edge.toml:2: callbacks.public_url: "http://pay.example.com" is no address such as https://pay.example.com',
    ),
    "callback address with a refused word": (
        ("edge", "pay.example.com", "example.com/sMpesa"),
        'edge.toml:2: callbacks.public_url: holds "mpesa", and M-Pesa refuses any address that does',
    ),
    "private callback address": (
        ("edge", "pay.example.com", "[2002:a00:1::1]"),
        'edge.toml:2: callbacks.public_url: "2002:a00:1::1" is not public, and M-Pesa refuses such addresses',
    ),
    "secret inline": (
        ("gateways", 'consumer_key_file = "secret"', f'consumer_key = "{SECRET}"'),
        (
            "gateways.toml:6: gateway[1].consumer_key: a secret does not stand here; put it in a file and name that: "
            "consumer_key_file = ..."
        ),
    ),
    "secret where a file name belongs": (
        ("routers", 'password_file = "secret"', f'password_file = "{SECRET}"'),
        "routers.toml:8: router[1].api.password_file: there is no file of that name in {folder}",
    ),
    "secret too long for a file name": (
        ("routers", 'password_file = "secret"', f'password_file = "{SECRET * 99}"'),
        "routers.toml:8: router[1].api.password_file: the file of that name in {folder} cannot be read by this user",
    ),
    "FreeRADIUS without a database": (
        ("edge", "", "[freeradius]\n"),
        (
            "edge.toml:3: freeradius.database: missing; expected the database that it answers from: "
            "sqlite:///... or postgresql://..."
        ),
    ),
    "a database that is none": (
        ("edge", "", '[freeradius]\ndatabase = "/var/lib/radius.sqlite"\n'),
        (
            "edge.toml:4: freeradius.database: The database is no address of a database; write it as "
            "sqlite:///var/lib/easyisp-radius/radius.sqlite or postgresql://radius:password@127.0.0.1/radius"
        ),
    ),
    "a database that is no text": (
        ("edge", "", "[freeradius]\ndatabase = 5\n"),
        'edge.toml:4: freeradius.database: 5 is not text in quotes; did you mean "5"?',
    ),
    "a database with its password": (
        ("edge", "", f'[freeradius]\ndatabase = "postgresql://radius:{SECRET}@127.0.0.1/radius"\n'),
        (
            "edge.toml:4: freeradius.database: a secret does not stand here; put it in a file and name that: "
            "database_file = ..."
        ),
    ),
    "a database given twice": (
        ("edge", "", '[freeradius]\ndatabase = "sqlite:///a/b"\ndatabase_file = "secret"\n'),
        "edge.toml:4: freeradius.database: given twice; keep database_file and take database out",
    ),
    "a database's file that is not there": (
        ("edge", "", '[freeradius]\ndatabase_file = "databse"\n'),
        "edge.toml:4: freeradius.database_file: there is no file of that name in {folder}",
    ),
    "a database's file that holds something else": (
        ("edge", "", '[freeradius]\ndatabase_file = "secret"\n'),
        (
            "edge.toml:3: freeradius.database: The database is no address of a database; write it as "
            "sqlite:///var/lib/easyisp-radius/radius.sqlite or postgresql://radius:password@127.0.0.1/radius"
        ),
    ),
    "FreeRADIUS's database in our own file": (
        ("edge", "", '[freeradius]\ndatabase = "sqlite:///srv/edge.sqlite"\n[store]\npath = "/srv/edge.sqlite"\n'),
        "edge.toml:4: freeradius.database: is the path of store too; FreeRADIUS has a file of its own",
    ),
    "a router that asks a FreeRADIUS nobody told of": (
        ("routers", "", 'radius.server = "freeradius"\n'),
        (
            "routers.toml:17: router[2].radius.server: freeradius needs [freeradius] in edge.toml, "
            "which says where its database is"
        ),
    ),
    "a RADIUS server there is not": (
        ("routers", "", 'radius.server = "freeradus"\n'),
        (
            'routers.toml:17: router[2].radius.server: "freeradus" is not one of embedded, freeradius; '
            'did you mean "freeradius"?'
        ),
    ),
    "secret given twice": (
        ("routers", "", f'radius.secret = "{SECRET}"\n'),
        "routers.toml:17: router[2].radius.secret: given twice; keep secret_file and take secret out",
    ),
    "secret under a mistyped key": (
        ("gateways", 'passkey_file = "secret"', f'passkey_file = "secret"\npaskey = "{SECRET}"'),
        (
            "gateways.toml:9: gateway[1].paskey: unknown key; known are id, tenant, name, type, sub_type, shortcode, "
            "store_number, business_shortcode, account_number, consumer_key_file, consumer_secret_file, passkey_file, "
            "environment, base_url, ca_file, default, for_hotspot, for_pppoe, queries_per_minute, c2b, pull; "
            'did you mean "passkey_file"?'
        ),
    ),
    "secret left out": (
        ("gateways", 'passkey_file = "secret"', ""),
        "gateways.toml:1: gateway[1].passkey_file: missing; name the file that holds the secret",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_fault_is_told_with_file_line_key_and_remedy(folder: Path, case: tuple[tuple[str, ...], str]) -> None:
    """One fault gives its own problems and no others, in words that say where it is and what would be right."""
    (file, old, new), *expected = case
    edit(folder, file, old, new)
    assert sorted(refusal(folder)) == sorted(text.replace("{folder}", str(folder)) for text in expected)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("price = KES 10\n", "text stands in straight quotes"),
        ("title = \u201cWi-Fi\u201d\n", "text stands in straight quotes"),
        ("active = True\n", "true and false in small letters"),
        ("price = 1,000\n", "numbers have no commas"),
        ("phone = 0712345678\n", "phone numbers need quotes"),
        ("duration = 1h\n", "text, times"),
        ('title = "Wi-Fi\n', "a quote is not closed"),
        ('title = """Wi-Fi\n', "a quote is not closed"),
        ("price = 10\nprice = 20\n", "the same was said further up"),
        ("[package]\n[[package]]\n", "[[two brackets]]"),
        ("[package]\n[package]\n", "[[two brackets]]"),
    ],
)
def test_what_the_parser_only_met_is_said_with_what_to_do(folder: Path, text: str, advice: str) -> None:
    """Who edits such a file once a year does not know what a statement is."""
    (folder / "portal.toml").write_text(text, encoding="utf-8")
    [problem] = refusal(folder)
    assert advice in problem


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\n\nnote = unquoted\n", 3),
        ('title = "x"\ntitle = "y"\n', 2),
        ("note = '''\n\n", 1),
        (f"note = {'[' * 50_000}\n", None),
        (f"note = {'1' * 5_000}\n", None),
    ],
    ids=["bare word", "key twice", "open string", "endless brackets", "endless number"],
)
def test_a_fault_of_the_toml_itself_is_placed(folder: Path, text: str, line: int | None) -> None:
    """Text that is no TOML is one problem, in its line where the parser tells it."""
    (folder / "portal.toml").write_text(text)
    [problem] = refusal(folder)
    where = "portal.toml" if line is None else f"portal.toml:{line}"
    assert problem.startswith(f"{where}: not valid TOML: ")


def test_a_missing_folder_or_first_file_is_refused(folder: Path) -> None:
    """An empty or mistyped folder does not pass for a configuration with nothing in it."""
    (folder / "edge.toml").unlink()
    assert refusal(folder) == ["edge.toml: missing: this file makes the folder a configuration"]
    assert refusal(folder / "nowhere") == ["edge.toml: missing: this file makes the folder a configuration"]


def test_files_that_are_no_text_are_refused(folder: Path) -> None:
    """A folder in a file's place, another encoding or an endless file is said as such."""
    (folder / "portal.toml").unlink()
    (folder / "portal.toml").mkdir()
    (folder / "tenants.toml").write_bytes(b'[[tenant]]\nid = "caf\xe9"\n')
    (folder / "packages.toml").write_bytes(b"#" * 1_000_001)
    assert refusal(folder) == [
        "packages.toml: longer than 1000000 octets",
        "portal.toml: cannot be read: Is a directory",
        "tenants.toml:2: not UTF-8 text; save it as UTF-8",
    ]


def test_text_of_other_editors_is_read(folder: Path) -> None:
    """A byte order mark and line ends with carriage returns are no fault, and move no line."""
    text = RIGHT["portal"] + "titel = 1\n"
    (folder / "portal.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    [problem] = refusal(folder)
    assert problem.startswith("portal.toml:2: titel: unknown key")


def test_a_mistyped_file_name_is_found(folder: Path) -> None:
    """A file nobody would read is refused with the nearest right name; hidden ones are left alone."""
    (folder / "gateway.toml").touch()
    (folder / ".#gateways.toml").touch()
    [problem] = refusal(folder)
    assert problem.startswith("gateway.toml: no file of this configuration")
    assert problem.endswith('did you mean "gateways.toml"?')


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o600, "the secret is empty"),
        (b" \n", 0o600, "the secret is empty"),
        (b"one\ntwo", 0o600, "the secret is too long, or not a single line of text"),
        (b"x" * 5000, 0o600, "the secret is too long, or not a single line of text"),
        (b"\xff\xfe", 0o600, "that file does not hold text"),
        (b"x" * 20, 0o644, "every user of this machine may read or write that file; chmod 600 it"),
        (b"x" * 20, 0o602, "every user of this machine may read or write that file; chmod 600 it"),
    ],
)
def test_a_secret_file_has_to_be_fit(folder: Path, content: bytes, mode: int, message: str) -> None:
    """A secret is one line of text in a file that others can neither read nor change."""
    (folder / "other").write_bytes(content)
    (folder / "other").chmod(mode)
    edit(folder, "routers", 'password_file = "secret"', 'password_file = "other"')
    assert refusal(folder) == [f"routers.toml:8: router[1].api.password_file: {message}"]


def test_a_secret_file_may_be_an_editors(folder: Path) -> None:
    """A byte order mark and a carriage return are no part of the secret."""
    (folder / "other").write_bytes(b"\xef\xbb\xbfsecret of an editor\r\n")
    (folder / "other").chmod(0o600)
    edit(folder, "routers", 'password_file = "secret"', 'password_file = "other"')
    api = load_config(folder, {}).routers[0].api
    assert api is not None
    assert api.password.get_secret_value() == "secret of an editor"


def test_a_pipe_or_folder_is_no_secret_file(folder: Path) -> None:
    """What is no plain file is not opened: a pipe would keep the daemon waiting."""
    os.mkfifo(folder / "pipe")
    edit(folder, "routers", 'password_file = "secret"', 'password_file = "pipe"')
    edit(folder, "gateways", 'passkey_file = "secret"', 'passkey_file = "."')
    assert refusal(folder) == [
        f"gateways.toml:8: gateway[1].passkey_file: there is no file of that name in {folder}",
        f"routers.toml:8: router[1].api.password_file: there is no file of that name in {folder}",
    ]


def test_a_short_radius_secret_is_refused(folder: Path) -> None:
    """A RADIUS secret under 16 characters is refused at a site, and is not shown."""
    (folder / "short").write_text("fifteen-letters")
    (folder / "short").chmod(0o600)
    edit(folder, "routers", 'radius.secret_file = "secret"', 'radius.secret_file = "short"')
    [problem] = refusal(folder)
    assert problem.startswith("routers.toml:16: router[2].radius.secret: shorter than 16 characters")
    assert "fifteen" not in problem


def test_all_problems_come_at_once_in_the_order_of_the_files(folder: Path) -> None:
    """One reading tells everything: values, conditions, references and secrets, in every file."""
    edit(folder, "gateways", 'store_number = "600987"\n', 'account_number = "1"\nenvironment = "live"\n')
    edit(folder, "gateways", '"600986"', '"6"')
    edit(folder, "gateways", 'passkey_file = "secret"', 'passkey_file = "gone"')
    edit(folder, "packages", '"north"', '"nort"')
    edit(folder, "packages", '"5M"', '"5"')
    edit(folder, "edge", "https", "ftp")
    (folder / "portal.toml").write_text("title")
    found = refusal(folder)
    assert [problem.split(": ")[:2] for problem in found] == [
        ["edge.toml:2", "callbacks.public_url"],
        ["gateways.toml:5", "gateway[1].shortcode"],
        ["gateways.toml:8", "gateway[1].passkey_file"],
        ["gateways.toml:14", "gateway[2].account_number"],
        ["gateways.toml:15", "gateway[2].environment"],
        ["packages.toml:3", "package[1].tenant"],
        ["packages.toml:7", "package[1].speed"],
        ["packages.toml:8", "package[1].routers[1]"],
        ["portal.toml:1", "not valid TOML"],
    ]


@pytest.mark.parametrize("file", ["tenants", "routers", "edge"])
def test_a_broken_file_brings_no_false_problems_in_others(folder: Path, file: str) -> None:
    """What refers to a file that cannot be read is not called wrong for it."""
    (folder / f"{file}.toml").write_text("=")
    [problem] = refusal(folder)
    assert problem.startswith(f"{file}.toml:1: not valid TOML")


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, held in inner:
        yield (*path, part)
        yield from places(held, (*path, part))


def as_toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


PLACES = [(file, place) for file, text in RIGHT.items() for place in places(tomllib.loads(text))]
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.sampled_from(["north", "hall", "."]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(place=st.sampled_from(PLACES), value=VALUES, key=st.none() | st.text(max_size=8))
def test_any_value_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    place: tuple[str, tuple[str | int, ...]],
    value: Any,
    key: str | None,
) -> None:
    """Whatever stands in the place of a right value or under a new key, reading ends well or in a refusal."""
    folder = tmp_path_factory.mktemp("config")
    file, path = place
    spoiled = tomllib.loads(RIGHT[file])
    holder: Any = spoiled
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1] if key is None or isinstance(holder, list) else key] = value
    for name, text in RIGHT.items():
        spoiled_text = "\n".join(f"{json.dumps(top)} = {as_toml(held)}" for top, held in spoiled.items())
        (folder / f"{name}.toml").write_text(spoiled_text if name == file else text)
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    with contextlib.suppress(ConfigError):
        assert len(load_config(folder, {}).tenants) >= 1
