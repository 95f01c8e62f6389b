from __future__ import annotations

import pytest

from easyisp_edge.lab.mikrotik.error_texts import error_key
from easyisp_edge.lab.mikrotik.page_language import names_in, render
from easyisp_edge.lab.mikrotik.page_variables import KNOWN_VARIABLES, is_variable
from easyisp_edge.lab.mikrotik.stock_pages import STOCK_PAGES
from tests.fakes.mikrotik_stage import IP, MAC, mikrotik_stage
from tests.unit.lab.test_mikrotik_servlet import STOCK, add_kofi, ask, login, put_files, set_profile

VALUES = {"username": "john", "ip": "10.1.2.3", "odd": "a b&c=\"<'>", "no": "no", "empty": ""}


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("plain", "plain"),
        ("$(username)", "john"),
        ("$(odd)|$(odd-esc)", "a b&c=\"<'>|a+b%26c%3D%22%3C%27%3E"),
        ("$(nobody)|$(nobody-esc)|$(function)", "||"),
        ("$(if username)in$(endif)", "in"),
        ("$(if empty)in$(endif)", ""),
        ("$(if username == john)1$(else)2$(endif)", "1"),
        ("$(if username == 'john')1$(else)2$(endif)", "1"),
        ('$(if username == "joe")1$(else)2$(endif)', "2"),
        ('$(if empty == "")1$(endif)', "1"),
        ("$(if username != 'john')1$(else)2$(endif)", "2"),
        ("$(if username == a)A$(elif username == john)J$(elif ip == 10.1.2.3)I$(else)E$(endif).", "J."),
        ("$(if username == a)A$(elif username == b)J$(elif ip == 10.1.2.3)I$(else)E$(endif).", "I."),
        ("$(if username == a)A$(elif empty)J$(elif no)N$(else)E$(endif).", "N."),
        ("$(if no)a$(if empty)b$(else)c$(endif)d$(else)e$(endif)", "acd"),
        ("$(if empty)a$(if no)b$(else)c$(endif)d$(else)e$(endif)", "e"),
        ("a$(endif)b$(else)c", "abc"),
        ("$(if username)open", ""),
        ("$ (username) $username", "$ (username) $username"),
    ],
)
def test_the_language(page: str, text: str) -> None:
    """Values go in bare, `-esc` URL-encodes, and one branch of a conditional is shown."""
    assert render(page, lambda name: VALUES.get(name, "")).text == text


def test_status_and_headers_are_set_by_what_looks_like_a_question() -> None:
    """http-status and http-header set, the last of a name holds, and a value brings no header of its own."""
    page = render(
        '$(if http-status == 302)Go $(username)$(endif)$(if http-header == "Location")http://a/?$(odd-esc)$(endif)'
        '$(if http-header == "X")1$(endif)$(if http-header == "X")2\r\nY: 3$(endif)'
        '$(if empty)$(if http-header == "Z")no$(endif)$(if http-status == 500)no$(endif)$(endif)body',
        lambda name: VALUES.get(name, ""),
    )
    assert (page.status, page.reason, page.text) == (302, "Go john", "body")
    assert page.headers == {"Location": "http://a/?a+b%26c%3D%22%3C%27%3E", "X": "2 Y: 3"}
    assert render("$(if http-status == 099)no$(endif)", str).status == 200


def test_the_names_a_page_uses() -> None:
    """Names are found in values, their encoded form and conditions; words of the language are none."""
    text = '$(mac) $(ip-esc) $(if error == "x") $(elif trial) $(else) $(endif) $(if http-status == 1)$(endif)'
    assert names_in(text) == {"mac", "ip", "error", "trial", "http-status"}


@pytest.mark.parametrize("name", sorted(STOCK_PAGES))
def test_the_factory_s_pages_use_known_variables(name: str) -> None:
    """Every variable of the factory's pages is one RouterOS has."""
    assert {variable for variable in names_in(STOCK_PAGES[name]) if not is_variable(variable)} == set()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("mac", True),
        ("session-time-left-secs", True),
        ("remain-bytes-total-nice", True),
        ("http-header-Accept", True),
        ("radius18", True),
        ("radius5-14988u", True),
        ("radius18[2]", True),
        ("radius", False),
        ("portal", False),
        ("mac-esc", False),
    ],
)
def test_which_variables_there_are(name: str, *, known: bool) -> None:
    """A name is a variable or it is not."""
    assert is_variable(name) is known


async def test_every_variable_that_the_router_can_know() -> None:
    """Each variable prints its value on the page where RouterOS has it."""
    shown = "\n".join(f"{name}=$({name})" for name in sorted(KNOWN_VARIABLES - {"http-status", "http-header"}))
    extra = "\nhttp-header-X-Lab-Device=$(http-header-X-Lab-Device)\nradius18=$(radius18)\nradius18u=$(radius18u)"
    files = dict.fromkeys(("own/login.html", "own/flogin.html", "own/status.html"), shown + extra)
    async with mikrotik_stage(STOCK) as stage:
        put_files(stage, files)
        set_profile(stage, html_directory="own", dns_name="wifi.example", login_by="http-pap,http-chap,trial")
        set_profile(stage, radius_location_id="ke-1", radius_location_name="Mama Njeri")
        add_kofi(stage, **{"limit-uptime": "1h", "limit-bytes-total": "4096", "limit-bytes-in": "2048"})
        before = _values(
            (await ask(stage, "/login?username=kofi&password=x&domain=d&session-id=s&var=v&popup=on")).text
        )
        own, link = stage.router.http_url.removeprefix("http://"), f"{stage.router.http_url}/devices/{MAC}"
        assert {name: before[name] for name in ("hostname", "identity", "server-name", "server-address")} == {
            "hostname": "wifi.example", "identity": "MikroTik", "server-name": "hotspot1", "server-address": own,
        }  # fmt: skip
        assert (before["location-id"], before["location-name"], before["interface-name"]) == (
            "ke-1", "Mama Njeri", "bridge1",
        )  # fmt: skip
        assert (before["mac"], before["ip"], before["host-ip"], before["username"]) == (MAC, IP, IP, "kofi")
        assert (before["logged-in"], before["trial"], before["plain-passwd"], before["ssl-login"]) == (
            "no", "yes", "yes", "no",
        )  # fmt: skip
        assert (before["domain"], before["session-id"], before["var"], before["popup"]) == ("d", "s", "v", "true")
        assert (before["error"], before["error-type"]) == ("invalid username or password", "invalid-username")
        assert (before["link-login-only"], before["link-status"]) == (f"{link}/login", f"{link}/status")
        assert (before["chap-id"].count("\\"), before["chap-challenge"].count("\\")) == (1, 16)
        assert (before["uptime"], before["uptime-secs"], before["bytes-in"]) == ("", "0", "")
        assert (before["http-header-X-Lab-Device"], before["radius18"], before["radius18u"]) == (MAC, "", "0")
        await ask(stage, "/login", "POST", data=login())
        await stage.clock.advance(90)
        stage.router.traffic(MAC, 1024, 1536)
        after = _values((await ask(stage, "/status")).text)
        assert (after["logged-in"], after["login-by"], after["uptime"], after["uptime-secs"]) == (
            "yes", "http-pap", "1m30s", "90",
        )  # fmt: skip
        assert (after["session-time-left"], after["session-timeout-secs"]) == ("58m30s", "3510")
        assert (after["idle-timeout"], after["idle-timeout-secs"], after["refresh-timeout"]) == ("", "0", "1m")
        assert (after["bytes-in"], after["bytes-in-nice"], after["bytes-out-nice"]) == ("1024", "1.0 KiB", "1.5 KiB")
        assert (after["remain-bytes-in"], after["remain-bytes-total"]) == ("1024", "1536")
        assert (after["limit-bytes-out"], after["remain-bytes-out"]) == ("---", "---")
        assert (after["error"], after["chap-id"], after["packets-in"]) == ("", "", "1")


def _values(page: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in page.splitlines())


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("no more sessions are allowed for user kofi", "user-session-limit"),
        ("user kofi has reached uptime limit", "uptime-limit"),
        ("user kofi has reached traffic limit", "traffic-limit"),
        ("RADIUS server is not responding", "radius-timeout"),
        ("already authorizing, retry later", "auth-in-progress"),
        ("user kofi is not allowed to log in from this MAC address", "invalid-mac"),
        ("invalid username (AA:BB:CC:00:00:01): this MAC address is not yours", "wrong-mac-username"),
        ("internal error (x)", "internal-error"),
        ("Your package is over.", "radius-reply"),
    ],
)
def test_each_error_has_its_key(text: str, key: str) -> None:
    """What no text of the hotspot's own is came in a Reply-Message."""
    assert error_key(text) == key


async def test_values_go_in_without_escaping() -> None:
    """The factory's login page shows what was typed as it is: the router escapes nothing by itself."""
    async with mikrotik_stage(STOCK) as stage:
        add_kofi(stage)
        hostile = '"><script>alert(1)</script>'
        page = await ask(stage, "/login", "POST", data={"username": hostile, "password": "x"})
        assert f'value="{hostile}"' in page.text
