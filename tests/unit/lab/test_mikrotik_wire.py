from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from librouteros.protocol import decode_length as librouteros_decode
from librouteros.protocol import encode_length as librouteros_encode

from easyisp_edge.lab.mikrotik.errors import RefusalError, WireError
from easyisp_edge.lab.mikrotik.wire import (
    decode_length,
    encode_length,
    encode_sentence,
    parse_request,
    read_sentence,
    read_word,
)

FORMS = [
    (0x7F, "7f"),
    (0x80, "8080"),
    (200, "80c8"),
    (256, "8100"),
    (0x3FFF, "bfff"),
    (0x4000, "c04000"),
    (0x1FFFFF, "dfffff"),
    (0x200000, "e0200000"),
    (0xFFFFFFF, "efffffff"),
    (0x10000000, "f010000000"),
]


def reader_of(octets: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(("length", "octets"), FORMS)
def test_each_length_form_is_the_documented_one(length: int, octets: str) -> None:
    """The borders of all five forms encode to the octets RouterOS uses."""
    assert encode_length(length).hex() == octets
    assert decode_length(bytes.fromhex(octets)) == (length, len(octets) // 2)


@given(st.integers(0, 0xFFFFFFFF))
def test_lengths_come_back(length: int) -> None:
    """Every length survives the wire, whatever follows it."""
    octets = encode_length(length)
    assert decode_length(octets + b"\xff") == (length, len(octets))


@given(st.integers(0, 0xFFFFFFF))
def test_lengths_agree_with_librouteros(length: int) -> None:
    """An independent client library encodes and reads the same lengths."""
    assert encode_length(length) == librouteros_encode(length)
    assert librouteros_decode(encode_length(length)) == length


@pytest.mark.parametrize("length", [-1, 2**32])
def test_impossible_lengths_are_no_words(length: int) -> None:
    """What five octets cannot say is an error, not a wrong length."""
    with pytest.raises(ValueError, match="octets long"):
        encode_length(length)


@pytest.mark.parametrize("octets", [b"\xf8\x00\x00\x00\x00", b"\xf1\x00\x00\x00\x00", b"\xff", b"", b"\x81"])
def test_control_octets_and_cut_lengths_are_errors(octets: bytes) -> None:
    """A reserved first octet or a length cut short cannot be read on from."""
    with pytest.raises(WireError):
        decode_length(octets)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), min_size=1, max_size=5))
async def test_sentences_come_back(words: list[str]) -> None:
    """Any words survive the wire, 256-octet ones and UTF-8 included."""
    assert await read_sentence(reader_of(encode_sentence(words))) == tuple(words)


async def test_octets_that_are_no_text_pass_unchanged() -> None:
    """The router keeps bytes as they came, also where they are no UTF-8."""
    octets = b"\x05=a=\xe9\xff\x00"
    words = await read_sentence(reader_of(octets))
    assert encode_sentence(words) == octets


async def test_empty_sentences_are_passed_over() -> None:
    """Sentences without words are ignored."""
    assert await read_sentence(reader_of(b"\x00\x00" + encode_sentence(["/quit"]))) == ("/quit",)


async def test_words_beyond_the_bound_are_refused() -> None:
    """A word longer than the bound is an error before its octets are awaited."""
    with pytest.raises(WireError):
        await read_word(reader_of(encode_length(5000)), octets_most=4096)


@pytest.mark.parametrize(
    ("words", "octets"),
    [
        (
            ["/login", "=name=edge", "=password=s3cret"],
            "062f6c6f67696e0a3d6e616d653d65646765103d70617373776f72643d73336372657400",
        ),
        (["!done"], "0521646f6e6500"),
        (["!empty"], "0621656d70747900"),
        (["!done", "=ret=*1A"], "0521646f6e65083d7265743d2a314100"),
        (["!trap", "=message=no such item"], "052174726170153d6d6573736167653d6e6f2073756368206974656d00"),
        (["!fatal", "not logged in"], "0621666174616c0d6e6f74206c6f6767656420696e00"),
        (
            ["/ip/hotspot/user/print", "?name=kofi"],
            "162f69702f686f7473706f742f757365722f7072696e740a3f6e616d653d6b6f666900",
        ),
    ],
)
async def test_published_sentences(words: list[str], octets: str) -> None:
    """Sentences seen on real wires encode and read the same."""
    assert encode_sentence(words).hex() == octets
    assert await read_sentence(reader_of(bytes.fromhex(octets))) == tuple(words)


def test_a_value_may_hold_equal_signs_and_be_empty() -> None:
    """An argument's value runs to the end of its word."""
    request = parse_request(["/x/getall", "=a=b=c", "=d=", "?e=1", "?#!", ".tag=9"])
    assert request.arguments == {"a": "b=c", "d": ""}
    assert (request.command, request.queries, request.tag) == ("/x/print", ("?e=1", "?#!"), "9")


def test_words_of_no_kind_are_refused() -> None:
    """A word that is no argument, query or tag is named in the refusal."""
    with pytest.raises(RefusalError, match="unknown parameter stray"):
        parse_request(["/x/print", "stray"])
