from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.config import ConfigError, Environment, Gateway, GatewayType, RouterMode, SubType, load_config
from easyisp_edge.daemon.routers import radius_clients
from easyisp_edge.domain.database_address import PostgresqlAddress, SqliteAddress
from easyisp_edge.domain.packages import Service
from easyisp_edge.domain.schedules import Schedule
from easyisp_edge.domain.values import DataVolume, Money, RateLimit
from easyisp_edge.errors import NotFoundError
from tests.fakes.certificates import pem_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easyisp_edge.config import Config

EXAMPLES = Path(__file__).parents[3] / "config"
SECRET = "s3cret-that-nobody-may-read-7f1c"
SECRET_FILES = (
    "mpesa-consumer-key",
    "mpesa-consumer-secret",
    "mpesa-passkey",
    "mpesa-webhook-key",
    "router-main-password",
    "router-annexe-radius-secret",
)
LEGACY = {
    "MPESA_ENV": "sandbox",
    "MPESA_CONSUMER_KEY": SECRET,
    "MPESA_CONSUMER_SECRET": SECRET,
    "MPESA_SHORTCODE": "174379",
    "MPESA_PASSKEY": f" {SECRET}\n",
    "MPESA_CALLBACK_URL": "https://old.example.com:8443/api/portal/mpesa/callback",
}
GATEWAY = """
[[gateway]]
id = "g1"
sub_type = "PAYBILL"
shortcode = "600986"
consumer_key_file = "key"
consumer_secret_file = "key"
passkey_file = "key"
"""
PACKAGE = '[[package]]\nid = "p"\nname = "P"\nprice = 50\nduration = "1h"\nspeed = "5M"\n'
ROUTER = """
[[router]]
id = "r1"
address = "10.0.0.1"
mode = "hotspot-user"
api = { tls = false, username = "edge", password_file = "key" }
"""
RADIUS = """
[[router]]
id = "r2"
address = "10.0.0.2"
mode = "radius"
login_url = "http://10.0.0.2/login"
radius = { secret_file = "key" }
"""
EDGE = '[callbacks]\npublic_url = "https://pay.example.com"\n'
TWO_TENANTS = '[[tenant]]\nid = "a"\nname = "A"\n[[tenant]]\nid = "b"\nname = "B"\n'


def write(folder: Path, **files: str) -> Path:
    """A folder with these files, by name without ending; `edge` is there in any case, and a secret called `key`."""
    for name, text in {"edge": EDGE, **files}.items():
        (folder / f"{name}.toml").write_text(text)
    write_secret(folder / "key")
    return folder


def write_secret(path: Path, text: str = f"{SECRET}\n", mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def load(folder: Path, environ: Mapping[str, str] | None = None, **files: str) -> Config:
    return load_config(write(folder, **files), environ or {})


def problems(folder: Path, environ: Mapping[str, str] | None = None, **files: str) -> list[str]:
    """All problems as they are shown, with the folder left out."""
    with pytest.raises(ConfigError) as refused:
        load(folder, environ, **files)
    assert SECRET not in repr(refused.value) + str(refused.value)
    return [str(problem).removeprefix(f"{folder}/") for problem in refused.value.problems]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples, and what has to be beside them."""
    folder = tmp_path / "config"
    shutil.copytree(EXAMPLES, folder)
    (folder / "logo.png").write_bytes(b"\x89PNG")
    (folder / "router-main.pem").write_text(pem_text("other"))
    return folder


@pytest.fixture
def credentials(tmp_path: Path) -> dict[str, str]:
    """The environment of a service that was handed all secrets of the examples."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name in SECRET_FILES:
        write_secret(folder / name, mode=0o400)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_the_examples_load_as_they_stand(examples: Path, credentials: dict[str, str]) -> None:
    """The commented examples are a right configuration once their secrets and the router's certificate are there."""
    config = load_config(examples, credentials)
    assert [package.price for package in config.packages] == [Money.shillings(n) for n in (10, 50, 250, 900)]
    assert config.gateway("paybill").environment is Environment.PRODUCTION
    assert config.router("main").hotspot_networks == (IPv4Network("10.5.50.0/24"),)
    assert not config.development


def test_every_setting_in_a_comment_of_the_examples_is_right(examples: Path, credentials: dict[str, str]) -> None:
    """A technician may take the comment sign off any setting: all are known and have good values."""
    for path in examples.glob("*.toml"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line[1:] if line.startswith("#") and line[1:2].strip() else line for line in lines))
    aggregator = {**LEGACY, "MPESA_ENV": "production", "MPESA_SHORTCODE": "600999"}
    config = load_config(examples, {**credentials, **aggregator})
    assert {gateway.sub_type for gateway in config.gateways} == set(SubType)
    assert {gateway.type for gateway in config.gateways} == set(GatewayType)
    assert [gateway.id for gateway in config.gateways if gateway.aggregated] == ["through-aggregator"]
    assert config.gateway("paybill").pull is not None
    assert {router.mode for router in config.routers} == set(RouterMode)
    assert config.portal.title == "Example Wi-Fi"
    assert {package.package_id for package in config.packages if package.schedule} == {"nights", "weekend-nights"}
    assert config.package("default", "3h-online").online_time == timedelta(hours=3)
    assert config.package("default", "burst").rate_limit.burst is not None
    assert config.development


def test_reading_is_quick(examples: Path, credentials: dict[str, str]) -> None:
    """A reload does not hold up the daemon: the examples are read in well under 50 ms."""

    def reading() -> float:
        begun = time.perf_counter()
        load_config(examples, credentials)
        return time.perf_counter() - begun

    assert min(reading() for _ in range(5)) < 0.05


def test_values_become_the_domains(tmp_path: Path) -> None:
    """A package comes out in the domain's values: money, time, speed, data."""
    package = """
    [[package]]
    id = "week"
    name = " Week "
    price = 250
    duration = "1w1d2h30m"
    speed = "2M/5M"
    data = "1.5GB"
    devices = 3
    service = "pppoe"
    active = false
    routers = ["r1"]
    """
    found = load(tmp_path, packages=package, routers=ROUTER).package("default", "week")
    assert (found.name, found.price, found.service) == ("Week", Money(25000), Service.PPPOE)
    assert found.duration == timedelta(days=8, hours=2, minutes=30)
    assert (found.rate_limit, found.data_limit) == (RateLimit(2000, 5000), DataVolume(1_500_000_000))
    assert (found.devices_max, found.active, found.router_ids) == (3, False, ("r1",))


@pytest.mark.parametrize(
    ("more", "schedule"),
    [
        ("", None),
        ('hours = "22:00-06:00"', "22:00-06:00"),
        ('hours = " 9:00 - 17:30 "', "09:00-17:30"),
        ('hours = "22:00-24:00"', "22:00-24:00"),
        ('hours = "18:00-06:00"\ndays = ["sat", "fri"]', "fri,sat 18:00-06:00"),
        ('days = ["sun", "sat", "sun"]', "sat,sun 00:00-00:00"),
        ('days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]', None),
        ('hours = "22:00-06:00"\ndays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]', "22:00-06:00"),
    ],
)
def test_hours_and_days_become_a_schedule(tmp_path: Path, more: str, schedule: str | None) -> None:
    """Days without hours are whole days, in the order of the week; on every day and all day is no schedule."""
    found = load(tmp_path, packages=PACKAGE + more).packages[0]
    assert found.schedule == (None if schedule is None else Schedule.parse(schedule))


def test_whole_days_are_open_from_midnight_to_midnight(tmp_path: Path) -> None:
    """By Kenya's clock: a weekend is one opening of 48 hours."""
    schedule = load(tmp_path, packages=PACKAGE + 'days = ["sat", "sun"]').packages[0].schedule
    assert schedule is not None
    friday = datetime(2026, 11, 27, 20, 59, tzinfo=UTC)
    assert not schedule.is_open(friday)
    assert schedule.closes_at(friday + timedelta(minutes=1)) == datetime(2026, 11, 29, 21, 0, tzinfo=UTC)


def test_time_online_is_within_the_time_it_is_valid(tmp_path: Path) -> None:
    """It may be as long, and not longer; the language is for who reads the router's refusals."""
    package = PACKAGE.replace('"1h"', '"7d"') + 'online = "{online}"\nlanguage = "sw"\n'
    found = load(tmp_path, packages=package.format(online="3h")).packages[0]
    assert (found.online_time, found.duration) == (timedelta(hours=3), timedelta(days=7))
    assert found.language == "sw"
    assert load(tmp_path, packages=package.format(online="7d")).packages[0].online_time == timedelta(days=7)
    assert problems(tmp_path, packages=package.format(online="7d1m")) == [
        "packages.toml:7: package[1].online: is longer than duration, which says how long the package is valid"
    ]


def test_a_speed_takes_all_that_mikrotik_lets_follow(tmp_path: Path) -> None:
    """Burst, threshold, seconds, priority and least speed, in this order."""
    speed = "2M/5M 4M/10M 1500k/4M 10/10 3 512k/1M"
    found = load(tmp_path, packages=PACKAGE.replace("5M", speed)).packages[0].rate_limit
    assert str(found) == speed
    assert (found.upload_kbps, found.download_kbps) == (2000, 5000)


def test_defaults_are_those_of_a_site(tmp_path: Path) -> None:
    """What is left out is safe: the owner's door on loopback, no callbacks door, RADIUS closed, one tenant."""
    config = load(tmp_path, edge="")
    assert (config.edge.portal.address, config.edge.portal.port) == ("0.0.0.0", 80)
    assert config.edge.admin.address == "127.0.0.1"
    assert not config.edge.callbacks.enabled
    assert not config.radius_enabled
    only = config.only_tenant()
    assert only is not None
    assert only.id == "default"


def test_look_ups_find_by_id_or_say_what_is_missing(tmp_path: Path) -> None:
    """Each look-up gives what the file declares, or NotFoundError."""
    packages = PACKAGE.replace('id = "p"', 'id = "p"\ntenant = "b"')
    config = load(tmp_path, tenants=TWO_TENANTS, packages=packages)
    assert config.tenant("b").name == "B"
    assert config.package("b", "p").tenant_id == "b"
    assert config.only_tenant() is None
    for look_up in (
        lambda: config.tenant("c"),
        lambda: config.package("a", "p"),
        lambda: config.gateway("g"),
        lambda: config.router("r"),
    ):
        with pytest.raises(NotFoundError):
            look_up()


def gateways(*extra: str) -> str:
    """One PayBill per argument, g1, g2 …, with the argument's settings."""
    return "".join(GATEWAY.replace("g1", f"g{at}") + settings + "\n" for at, settings in enumerate(extra, 1))


@pytest.mark.parametrize(
    ("file", "hotspot", "pppoe"),
    [
        (gateways(""), "g1", "g1"),
        (gateways("", "default = true"), "g2", "g2"),
        (gateways("default = true", "for_pppoe = true"), "g1", "g2"),
        (gateways("default = true\nfor_hotspot = false", ""), "g2", "g1"),
        (gateways("for_hotspot = false", "for_hotspot = false\nfor_pppoe = true"), "g1", "g2"),
        ("", None, None),
    ],
)
def test_the_gateway_for_a_service_is_the_one_meant_for_it_else_the_default(
    tmp_path: Path, file: str, hotspot: str | None, pppoe: str | None
) -> None:
    """First one meant for the service (the default before others), then the default, which is never missing."""
    config = load(tmp_path, gateways=file)

    def chosen(service: Service) -> str | None:
        gateway = config.gateway_for("default", service)
        return gateway.id if gateway else None

    assert (chosen(Service.HOTSPOT), chosen(Service.PPPOE)) == (hotspot, pppoe)
    assert config.gateway_for("another", Service.HOTSPOT) is None
    assert sum(gateway.default for gateway in config.gateways) == min(1, len(config.gateways))


@pytest.mark.parametrize(
    ("settings", "signs"),
    [
        ("", "600986"),
        ('sub_type = "BUYGOODS"\nstore_number = "600111"', "600111"),
        ('sub_type = "BUYGOODS"', "600986"),
        ('sub_type = "BANK"\nbusiness_shortcode = "600222"\naccount_number = "012345678901"', "600222"),
    ],
)
def test_the_passkey_belongs_to_the_short_code_that_signs(tmp_path: Path, settings: str, signs: str) -> None:
    """PayBills sign for themselves, tills by their store number or themselves, banks by our own short code."""
    text = GATEWAY.replace('sub_type = "PAYBILL"', settings) if settings else GATEWAY
    gateway = load(tmp_path, gateways=text).gateway("g1")
    assert (gateway.shortcode, gateway.signing_shortcode) == ("600986", signs)


def test_secrets_are_stripped_and_never_shown(tmp_path: Path) -> None:
    """A secret comes without the newline of its file, and no representation of the configuration holds it."""
    config = load(tmp_path, gateways=GATEWAY, routers=ROUTER + RADIUS)
    assert config.gateway("g1").passkey.get_secret_value() == SECRET
    assert SECRET not in repr(config)
    assert SECRET not in str(config.router("r2"))


def test_credentials_come_before_files_of_the_folder(tmp_path: Path, credentials: dict[str, str]) -> None:
    """What the service manager hands over wins over a file of the same name beside the configuration."""
    write_secret(Path(credentials["CREDENTIALS_DIRECTORY"]) / "key", "handed over")
    config = load(tmp_path, credentials, gateways=GATEWAY)
    assert config.gateway("g1").consumer_key.get_secret_value() == "handed over"


def test_development_permits_what_a_site_must_not_have(tmp_path: Path) -> None:
    """With development = true: secrets inline, files others may read, plain http, short RADIUS secrets."""
    edge = 'development = true\nadmin.address = "0.0.0.0"\n[callbacks]\npublic_url = "http://127.0.0.1:8082/relay/"\n'
    inline = GATEWAY.replace('consumer_key_file = "key"', 'consumer_key = " inline "') + 'base_url = "http://[::1]:9/x"'
    radius = RADIUS.replace('secret_file = "key"', 'secret = "short"')
    write_secret(tmp_path / "key", mode=0o644)
    config = load_config(write(tmp_path, edge=edge, gateways=inline, routers=radius), {})
    assert config.edge.callbacks.public_url == "http://127.0.0.1:8082/relay"
    assert config.gateway("g1").consumer_key.get_secret_value() == "inline"
    assert config.gateway("g1").base_url == "http://[::1]:9/x"
    assert config.radius_enabled


ASKING = RADIUS.replace('secret_file = "key"', 'secret_file = "key", server = "freeradius"')


def test_a_router_may_ask_freeradius(tmp_path: Path) -> None:
    """Then this box answers it not; another router may ask this box."""
    edge = EDGE + '[freeradius]\ndatabase = "sqlite:///var/lib/radius/radius.sqlite"\n'
    config = load(tmp_path, edge=edge, routers=ASKING)
    assert config.edge.freeradius is not None
    assert config.edge.freeradius.database == SqliteAddress(Path("/var/lib/radius/radius.sqlite"))
    assert config.router("r2").asks_freeradius
    assert not config.radius_enabled
    assert radius_clients(config) == []
    both = ASKING + RADIUS.replace("r2", "r3").replace("10.0.0.2", "10.0.0.3")
    config = load(tmp_path, edge=edge, routers=both)
    assert [client.router_id for client in radius_clients(config)] == ["r3"]
    assert config.radius_enabled


def test_a_database_with_a_password_stands_in_a_file(tmp_path: Path) -> None:
    """It is shown nowhere; one that needs no password may be named in the file itself."""
    write_secret(tmp_path / "database", f"postgresql://radius:{SECRET}@db.example:5433/logins\n")
    config = load(tmp_path, edge=EDGE + '[freeradius]\ndatabase_file = "database"\n')
    assert config.edge.freeradius is not None
    assert config.edge.freeradius.database == PostgresqlAddress("db.example", 5433, "radius", SECRET, "logins")
    assert SECRET not in repr(config)
    config = load(tmp_path, edge=EDGE + '[freeradius]\ndatabase = "postgresql://radius@db.example/logins"\n')
    assert config.edge.freeradius is not None
    assert config.edge.freeradius.database == PostgresqlAddress("db.example", 5432, "radius", "", "logins")


def test_a_router_takes_orders_where_its_file_says(tmp_path: Path) -> None:
    """The port is as given; left out, the router is told nothing by RADIUS."""
    both = RADIUS + RADIUS.replace("r2", "r3").replace("10.0.0.2", "10.0.0.3").replace(
        '"key" }', '"key", incoming_port = 3799 }'
    )
    config = load(tmp_path, gateways=GATEWAY, routers=both)
    assert [router.radius and router.radius.incoming_port for router in config.routers] == [None, 3799]


def test_the_old_variables_make_a_gateway(tmp_path: Path) -> None:
    """A tenant without a gateway in the file gets the old deployment's, and its callback origin."""
    config = load(tmp_path, LEGACY, edge="")
    gateway = config.gateway("legacy")
    assert (gateway.name, gateway.tenant, gateway.default) == ("Migrated Gateway", "default", True)
    assert (gateway.shortcode, gateway.environment) == ("174379", Environment.SANDBOX)
    assert gateway.passkey.get_secret_value() == SECRET
    assert (gateway.for_hotspot, gateway.for_pppoe) == (True, True)
    assert config.edge.callbacks.public_url == "https://old.example.com:8443"


def test_files_come_before_the_old_variables(tmp_path: Path) -> None:
    """A gateway and a callback address in the files leave nothing for the old variables to say."""
    config = load(tmp_path, LEGACY, gateways=GATEWAY)
    assert [gateway.id for gateway in config.gateways] == ["g1"]
    assert config.edge.callbacks.public_url == "https://pay.example.com"


def test_old_variables_that_are_wrong_are_named(tmp_path: Path) -> None:
    """Problems with the old variables name the variable, whatever its place in the gateway."""
    wrong = {"MPESA_ENV": "prod", "MPESA_SHORTCODE": "12", "MPESA_CALLBACK_URL": "old.example.com"}
    assert problems(tmp_path, {**LEGACY, **wrong}, edge="") == [
        'environment: MPESA_SHORTCODE: "12" is not 5 to 7 digits',
        'environment: MPESA_ENV: "prod" is not one of sandbox, production; did you mean "production"?',
        'environment: MPESA_CALLBACK_URL: "old.example.com" is no address such as https://pay.example.com',
    ]
    assert problems(tmp_path, {"MPESA_PASSKEY": SECRET}) == [
        f"environment: {variable}: missing; MPESA_PASSKEY alone make no gateway"
        for variable in ("MPESA_CONSUMER_KEY", "MPESA_CONSUMER_SECRET", "MPESA_SHORTCODE")
    ]


def test_the_id_of_the_old_gateway_is_not_given_twice(tmp_path: Path) -> None:
    """Another tenant's gateway may not be called as the one that the old variables make."""
    other = GATEWAY.replace('"g1"', '"legacy"\ntenant = "b"')
    [problem] = problems(tmp_path, LEGACY, tenants=TWO_TENANTS, gateways=other)
    assert problem.startswith('gateways.toml:3: gateway[1].id: "legacy" is the id of the gateway that')


def test_what_was_read_stays_as_it_is(tmp_path: Path) -> None:
    """What was read is not changed after."""
    gateway = load(tmp_path, gateways=GATEWAY).gateway("g1")
    with pytest.raises(ValueError, match="frozen"):
        gateway.shortcode = "1"


def test_conditions_hold_for_gateways_made_by_hand() -> None:
    """A till without keys, or a bank without an account, cannot be made in code either."""
    till = {"id": "till", "tenant": "default", "sub_type": "BUYGOODS", "shortcode": "512345"}
    with pytest.raises(ValueError, match="MPESA_API needs it to sign"):
        Gateway.model_validate(till)
    keys = dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), SECRET)
    with pytest.raises(ValueError, match="BANK needs the bank account"):
        Gateway.model_validate({**till, **keys, "sub_type": "BANK", "business_shortcode": "600986"})
    assert Gateway.model_validate({**till, **keys}).signing_shortcode == "512345"


def test_a_router_has_the_pool_for_pppoe_that_its_file_names(tmp_path: Path) -> None:
    """As RADIUS hands it on; left out, the router is told of none."""
    both = RADIUS + RADIUS.replace("r2", "r3").replace("10.0.0.2", "10.0.0.3").replace(
        '"key" }', '"key", pppoe_pool = "pppoe customers" }'
    )
    config = load(tmp_path, gateways=GATEWAY, routers=both)
    assert [client.pppoe_pool for client in radius_clients(config)] == [None, "pppoe customers"]
