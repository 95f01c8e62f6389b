"""What comes in, read: bounded, strict, and refused with an error that says what to do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlencode

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import assume, given
from hypothesis import strategies as st

from easyisp_edge.config import Config, load_config
from easyisp_edge.domain.values import MacAddress
from easyisp_edge.errors import InvalidError, NotFoundError
from easyisp_edge.web import requests
from easyisp_edge.web.requests import (
    BODY_OCTETS_MAX,
    flag_of,
    needed_text,
    parse_object,
    pasted_of,
    read_body,
    read_form,
    read_object,
    text_of,
)
from easyisp_edge.web.visits import Device, router_of_nas, tenant_of, visit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

MAC = MacAddress.parse("AA:BB:CC:00:00:01")
TOO_LONG = BODY_OCTETS_MAX + 1
SCALARS = st.none() | st.booleans() | st.integers(-(10**16), 10**16) | st.text(max_size=20).filter(str.isprintable)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
MACS = st.integers(0, 2**48 - 1).map(lambda number: MacAddress.parse(f"{number:012X}"))
ROUTER_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)


class TestParseObject:
    @given(st.binary(max_size=300))
    def test_octets_are_an_object_or_refused(self, body: bytes) -> None:
        """Whatever the octets are: an object, or InvalidError, and nothing else."""
        try:
            found = parse_object(body)
        except InvalidError:
            return
        assert isinstance(found, dict)

    @given(st.text(alphabet='{}[]":,0123456789.eE+-\\untfalsr ', max_size=60))
    def test_what_looks_like_json_is_an_object_or_refused(self, body: str) -> None:
        """The same for what is nearly JSON, in every encoding JSON may have."""
        for encoding in ("utf-8", "utf-16", "utf-32", "utf-8-sig"):
            try:
                assert isinstance(parse_object(body.encode(encoding)), dict)
            except InvalidError:
                continue

    @given(st.dictionaries(st.text(max_size=10), VALUES, max_size=5))
    def test_objects_come_through_as_they_are(self, fields: dict[str, Any]) -> None:
        """What is an object and within bounds is read as it was written."""
        assert parse_object(json.dumps(fields).encode()) == fields

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\x00",
            b"null",
            b"[]",
            b'"a"',
            b"{",
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":-Infinity}',
            b'{"a":1e400}',
            b'{"a":-1e400}',
            b'{"a":1000000000000000000}',
            b'{"a":' + b"7" * 5000 + b"}",
            b'{"a":1,"a":1}',
            b'{"b":{"a":1,"a":2}}',
            b'{"b":[{"a":1,"a":2}]}',
            b"[" * 100_000,
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            b'{"a":"\xff"}',
            b"\xff\xfe{",
        ],
    )
    def test_bombs_and_slips_are_refused(self, body: bytes) -> None:
        """Depth, long numbers, numbers that are none, names said twice, no UTF-8: refused, and never a crash."""
        with pytest.raises(InvalidError):
            parse_object(body)

    @pytest.mark.parametrize("depth", range(1, 25))
    def test_depth_has_a_bound_of_its_own(self, depth: int) -> None:
        """Sixteen levels are read, seventeen are not: the bound is ours and not the interpreter's."""
        body = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)
        if depth <= 16:
            assert isinstance(parse_object(body), dict)
        else:
            with pytest.raises(InvalidError):
                parse_object(body)

    @pytest.mark.parametrize("depth", range(850, 1100, 5))
    def test_no_depth_slips_between_parser_and_check(self, depth: int) -> None:
        """Near the interpreter's own limit it is refused like anywhere else."""
        with pytest.raises(InvalidError):
            parse_object(b'{"a":' + b"[" * depth + b"]" * depth + b"}")

    def test_an_error_does_not_repeat_the_body(self) -> None:
        """The message is short, whatever was sent, for it goes to logs and pages."""
        with pytest.raises(InvalidError) as caught:
            parse_object(b'{"secret-word": ' + b"x" * 5000)
        assert "secret-word" not in caught.value.message
        assert len(caught.value.message) < 200


class TestTextOf:
    @pytest.mark.parametrize(
        ("value", "text"), [("a", "a"), ("  a b ", "a b"), (712345678, "712345678"), ("é🙂", "é🙂"), ("   ", "")]
    )
    def test_texts_and_whole_numbers_are_texts(self, value: Any, text: str) -> None:
        """Without the blanks around; pages send phone numbers as numbers, too."""
        assert text_of({"a": value}, "a", most=20) == text

    @pytest.mark.parametrize("fields", [{}, {"a": None}, {"a": ""}])
    def test_nothing_is_none_or_missing(self, fields: dict[str, Any]) -> None:
        """Left out, null and empty are the same: None where not needed, else refused by the field's name."""
        assert text_of(fields, "a", most=5, needed=False) is None
        with pytest.raises(InvalidError) as caught:
            text_of(fields, "a", most=5)
        assert caught.value.field == "a"

    def test_blank_is_missing_where_needed(self) -> None:
        """Blanks alone are no text."""
        with pytest.raises(InvalidError) as caught:
            needed_text({"a": "   "}, "a", most=5)
        assert caught.value.field == "a"

    @pytest.mark.parametrize(
        "value", [True, False, 1.0, [], ["a"], {}, {"a": "b"}, "abcdef", "a\nb", "a\x00", "\x7f", "\ud800"]
    )
    def test_all_else_is_refused(self, value: Any) -> None:
        """No text, too long, or with what is no character a person types."""
        with pytest.raises(InvalidError) as caught:
            text_of({"a": value}, "a", most=5)
        assert (caught.value.code, caught.value.field) == ("request.invalid", "a")

    @given(VALUES | st.text())
    def test_what_comes_out_can_be_stored(self, value: Any) -> None:
        """Whatever goes in: short text that has a place in UTF-8 and in one line, or None, or InvalidError."""
        try:
            text = text_of({"a": value}, "a", most=10, needed=False)
        except InvalidError:
            return
        if text is not None:
            text.encode()
            assert len(text) <= 10
            assert not {"\n", "\r", "\x00"} & set(text)


def request_with(
    *chunks: bytes, headers: dict[str, str] | None = None, broken: Exception | None = None, ends: bool = True
) -> web.Request:
    """A request whose body arrives in these pieces, and then ends, or breaks, or does neither."""
    body = StreamReader(mock.Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
    for chunk in chunks:
        body.feed_data(chunk)
    if broken is None and ends:
        body.feed_eof()
    elif broken is not None:
        asyncio.get_running_loop().call_later(0.01, body.set_exception, broken)
    return make_mocked_request("POST", "/", headers=headers or {}, payload=body)


class TestReadBody:
    @pytest.mark.parametrize("chunks", [[], [b"a"], [b"a" * BODY_OCTETS_MAX], [b"a" * 5000, b"b" * 5000, b"c"]])
    async def test_pieces_are_put_together(self, chunks: list[bytes]) -> None:
        """Up to the limit the body is what was sent, in however many pieces."""
        assert await read_body(request_with(*chunks)) == b"".join(chunks)

    @pytest.mark.parametrize("chunks", [[b"a" * TOO_LONG], [b"a" * BODY_OCTETS_MAX, b"b"]])
    async def test_more_is_refused(self, chunks: list[bytes]) -> None:
        """One octet more is refused, whether or not it was announced."""
        announced = {"Content-Length": str(sum(map(len, chunks)))}
        for headers in ({}, announced):
            with pytest.raises(InvalidError) as caught:
                await read_body(request_with(*chunks, headers=headers))
            assert caught.value.code == "request.too_large"

    async def test_what_is_announced_too_long_is_not_read(self) -> None:
        """A length beyond the limit is refused at once: nobody waits for the body."""
        request = request_with(headers={"Content-Length": str(TOO_LONG)}, broken=AssertionError("it was read"))
        with pytest.raises(InvalidError):
            await asyncio.wait_for(read_body(request), 1)

    @pytest.mark.parametrize("broken", [ConnectionResetError("gone"), web.RequestPayloadError("rubbish")])
    async def test_a_body_that_breaks_off_is_refused(self, broken: Exception) -> None:
        """A phone that leaves in the middle is no failure of ours."""
        with pytest.raises(InvalidError) as caught:
            await read_body(request_with(b"abc", broken=broken))
        assert caught.value.code == "request.cut_short"

    @pytest.mark.parametrize("chunks", [(), (b"abc",)])
    async def test_a_body_that_does_not_come_is_not_waited_for(
        self, chunks: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some thousand connections on which nothing more comes would be all a box has."""
        monkeypatch.setattr(requests, "BODY_SECONDS", 0.01)
        request = request_with(*chunks, headers={"Content-Length": "9"}, ends=False)
        with pytest.raises(InvalidError) as caught:
            await asyncio.wait_for(read_body(request), 1)
        assert caught.value.code == "request.cut_short"

    async def test_an_object_is_read(self) -> None:
        """`read_object` is the two together."""
        assert await read_object(request_with(b'{"a"', b":1}")) == {"a": 1}


class TestReadForm:
    @given(fields=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5))
    def test_forms_come_through_as_they_are(self, fields: dict[str, str]) -> None:
        """What a browser sends of a form is what was typed."""
        assume(not any(0xD800 <= ord(letter) <= 0xDFFF for text in (*fields, *fields.values()) for letter in text))
        assert asyncio.run(_form(urlencode(fields).encode())) == fields

    @given(body=st.binary(max_size=200))
    def test_octets_are_a_form_or_refused(self, body: bytes) -> None:
        """Whatever the octets are: fields of text, or InvalidError."""
        try:
            fields = asyncio.run(_form(body))
        except InvalidError:
            return
        assert all(isinstance(value, str) for value in fields.values())
        "".join(fields.values()).encode()

    @pytest.mark.parametrize(
        "body",
        [b"a=1&a=2", b"a=%ff", b"a=\xc3\xa9", b"a=%ED%A0%80", "&".join(f"a{n}=" for n in range(65)).encode()],
    )
    async def test_slips_are_refused(self, body: bytes) -> None:
        """A field twice, no UTF-8, raw octets beyond ASCII, half a surrogate pair, too many fields."""
        with pytest.raises(InvalidError) as caught:
            await _form(body)
        assert caught.value.code == "request.invalid"


async def _form(body: bytes) -> dict[str, str]:
    return await read_form(request_with(body))


class TestDevice:
    @given(st.none() | MACS, st.none() | ROUTER_IDS)
    def test_a_token_leads_back(self, mac: MacAddress | None, router_id: str | None) -> None:
        """Any device's token is read as that device, and is made of what an address may hold as it is."""
        device = Device(mac, router_id)
        assert Device.from_token(device.token) == device
        assert not set(device.token) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        assert len(device.token) < 120

    def test_nobody_is_no_token(self) -> None:
        """A device nothing is known of has the empty token."""
        assert Device().token == ""
        assert Device.from_token("") == Device()

    @given(st.text(max_size=300) | st.binary(max_size=60).map(lambda octets: octets.hex()))
    def test_a_text_is_a_token_or_refused(self, token: str) -> None:
        """Whatever the text is: a device whose token it is, or InvalidError."""
        try:
            device = Device.from_token(token)
        except InvalidError:
            return
        assert device.token == token

    @pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}!", "{}.", "{}|", "%{}"])
    def test_a_damaged_token_is_refused(self, change: str) -> None:
        """What the decoder would pass over is damage all the same."""
        with pytest.raises(InvalidError) as caught:
            Device.from_token(change.format(Device(MAC, "main").token))
        assert caught.value.field == "d"

    @pytest.mark.parametrize(
        "token", ["A" * 10_000, Device(MAC, "a" * 300).token, "fA", "_____w", "\u0661\u0661\u0661\u0661"]
    )
    def test_what_is_not_made_here_is_refused(self, token: str) -> None:
        """Far too long, of nobody, no UTF-8, no ASCII."""
        with pytest.raises(InvalidError):
            Device.from_token(token)


FILES = {
    "edge.toml": 'development = true\n[callbacks]\npublic_url = "http://127.0.0.1:1"\n',
    "tenants.toml": '[[tenant]]\nid = "east"\nname = "East"\n[[tenant]]\nid = "west"\nname = "West"\n',
    "routers.toml": """
[[router]]
id = "a"
tenant = "east"
address = "10.0.0.1"
mode = "radius"
login_url = "http://10.1.0.1/login"
hotspot_networks = ["10.1.0.0/24", "fd00:1::/64"]
radius.secret = "sixteen characters"
[[router]]
id = "b"
tenant = "west"
address = "10.0.0.2"
mode = "radius"
login_url = "http://10.2.0.1/login"
radius.secret = "sixteen characters"
""",
}
ADDRESSES = st.none() | st.ip_addresses().map(str)
QUERIES = st.dictionaries(
    st.sampled_from(["d", "mac", "router", "tenantId"]), st.text(max_size=30) | st.sampled_from(["a", "b", "east", "-"])
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A site with two tenants, a router each; of one the devices' network is known."""
    folder = tmp_path_factory.mktemp("config")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return load_config(folder, {})


class TestVisit:
    @given(query=QUERIES, source=ADDRESSES)
    def test_an_address_is_a_visit_or_refused(self, config: Config, query: dict[str, str], source: str | None) -> None:
        """Whatever it says and wherever it comes from: a visit whose parts go together, or one of the two errors."""
        try:
            visit = visit_of(config, query, source)
        except (InvalidError, NotFoundError):
            return
        assert visit.router is not None
        assert (visit.router.tenant, visit.router.id) == (visit.tenant.id, visit.device.router_id)

    @pytest.mark.parametrize("source", ["10.1.0.7", "fd00:1::7", "fd00:1::7%eth0"])
    @pytest.mark.parametrize("query", [{}, {"router": "b"}, {"d": Device(MAC, "b").token}, {"mac": str(MAC)}])
    def test_where_it_comes_from_outweighs_what_it_says(
        self, config: Config, source: str, query: dict[str, str]
    ) -> None:
        """A device in a router's network is behind that router, whatever its link claims."""
        visit = visit_of(config, query, source)
        assert (visit.tenant.id, visit.device.router_id) == ("east", "a")

    @pytest.mark.parametrize("mac", ["", "-", " - ", "------"])
    def test_a_router_that_does_not_know_the_device_writes_dashes(self, config: Config, mac: str) -> None:
        """Then the device is unknown, which is no error."""
        assert visit_of(config, {"mac": mac, "router": "b"}, None).device == Device(None, "b")

    def test_nobody_can_tell(self, config: Config) -> None:
        """With two tenants and nothing to go by it is NotFoundError, and a name alone is nothing to go by."""
        for query in ({}, {"tenantId": "east"}, {"router": "c"}):
            with pytest.raises(NotFoundError):
                visit_of(config, query, "192.0.2.1")

    def test_the_tenant_is_the_routers(self, config: Config) -> None:
        """Another tenant's name beside it is refused; its own, or none, is taken."""
        router = config.router("b")
        names: Iterable[str | None] = (None, "", "west")
        assert {tenant_of(config, router, name).id for name in names} == {"west"}
        with pytest.raises(InvalidError):
            tenant_of(config, router, "east")

    def test_a_nas_is_known_by_its_address(self, config: Config) -> None:
        """By the very address in the configuration; an unknown one is no router, and a known network goes first."""
        found = [router_of_nas(config, nas_ip, None) for nas_ip in ("10.0.0.2", "10.0.0.3", "", None, "b")]
        assert [router and router.id for router in found] == ["b", None, None, None, None]
        behind = router_of_nas(config, "10.0.0.2", "10.1.0.9")
        assert behind is not None
        assert behind.id == "a"


class TestPastedOf:
    def test_several_lines_are_one_text(self) -> None:
        """Blanks around it go, those within stay; numbers of characters are counted without the former."""
        assert pasted_of({"smsText": "  UKL5QWERT1\nConfirmed. \n"}, "smsText", least=10, most=30) == (
            "UKL5QWERT1\nConfirmed."
        )
        assert pasted_of({"smsText": " 1234567890 "}, "smsText", least=10, most=10) == "1234567890"

    @pytest.mark.parametrize(
        "value", [None, "", " " * 20, "123456789", "1" * 31, 1234567890, ["a"], "half a pair \ud800"]
    )
    def test_what_is_no_text_of_that_length_is_refused(self, value: object) -> None:
        """With the field's name."""
        with pytest.raises(InvalidError) as caught:
            pasted_of({"smsText": value}, "smsText", least=10, most=30)
        assert caught.value.field == "smsText"


class TestFlagOf:
    def test_yes_no_and_nothing_said(self) -> None:
        """What is left out is as the caller says."""
        assert [flag_of({"prompt": told}, "prompt", default=True) for told in (True, False)] == [True, False]
        assert flag_of({}, "prompt", default=True)

    @pytest.mark.parametrize("value", [None, "no", "false", 0, 1, []])
    def test_anything_else_is_refused(self, value: object) -> None:
        """Nobody is to guess what was meant."""
        with pytest.raises(InvalidError) as caught:
            flag_of({"prompt": value}, "prompt", default=True)
        assert caught.value.field == "prompt"
