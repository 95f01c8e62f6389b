from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest

from easyisp_edge.lab.daraja import SANDBOX_MERCHANT, DarajaOptions, Fault
from tests.fakes.daraja_stage import daraja_stage


def decode(png: bytes) -> tuple[int, list[bytes], str]:
    """Side, lines and text of a picture, every checksum proven."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    rest = png[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, content, check = rest[4:8], rest[8 : 8 + length], rest[8 + length : 12 + length]
        assert struct.unpack(">I", check)[0] == zlib.crc32(kind + content)
        chunks[kind], rest = content, rest[12 + length :]
    assert next(iter(chunks)) == b"IHDR"
    assert list(chunks)[-1] == b"IEND"
    width, height, depth, colour, *others = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (width, depth, colour, others) == (height, 8, 0, [0, 0, 0])
    pixels = zlib.decompress(chunks[b"IDAT"])
    lines = [pixels[at : at + width + 1] for at in range(0, len(pixels), width + 1)]
    assert len(lines) == height
    assert all(line[:1] == b"\x00" for line in lines)
    keyword, rest = chunks[b"iTXt"].split(b"\x00", 1)
    assert keyword == b"Comment"
    return width, [line[1:] for line in lines], rest[4:].decode()


async def picture(body: dict[str, Any]) -> tuple[int, list[bytes], str]:
    return decode(base64.b64decode(body["QRCode"], validate=True))


async def test_the_answer_holds_a_picture() -> None:
    """A PNG of the size asked for, in black and white, whose text says what it pays."""
    async with daraja_stage() as stage:
        answer = await stage.qr()
        assert answer.status == 200
        assert set(answer.body) == {"ResponseCode", "RequestID", "ResponseDescription", "QRCode"}
        assert (answer.body["ResponseCode"], answer.body["ResponseDescription"]) == (
            "00",
            "QR Code Successfully Generated.",
        )
        side, lines, text = await picture(answer.body)
        assert side == 300
        assert set(b"".join(lines)) == {0, 255}
        assert json.loads(text) == {
            "MerchantName": "EASYISP LAB",
            "RefNo": "ABC123",
            "Amount": "50",
            "TrxCode": "PB",
            "CPI": SANDBOX_MERCHANT.short_code,
        }


async def test_another_payment_is_another_picture() -> None:
    """The same fields draw the same picture, any other field another one."""
    async with daraja_stage() as stage:
        first = (await picture((await stage.qr()).body))[1]
        assert (await picture((await stage.qr()).body))[1] == first
        for other in ({"Amount": 51}, {"RefNo": "ABC124"}, {"TrxCode": "BG"}, {"MerchantName": "JUA CAFÉ"}):
            assert (await picture((await stage.qr(**other)).body))[1] != first


async def test_the_code_may_be_a_conversation_id() -> None:
    """As the portal's own sample shows."""
    async with daraja_stage(replace(DarajaOptions.unhurried(), qr_conversation_id=True)) as stage:
        assert (await stage.qr()).body["ResponseCode"].startswith("AG_")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"MerchantName": ""}, "MerchantName"),
        ({"RefNo": None}, "RefNo"),
        ({"Amount": 0}, "Amount"),
        ({"Amount": "1.50"}, "Amount"),
        ({"TrxCode": "XX"}, "TrxCode"),
        ({"CPI": "12"}, "CPI"),
        ({"Size": "0"}, "Size"),
        ({"Size": "1001"}, "Size"),
        ({"Size": True}, "Size"),
    ],
)
async def test_fields_that_cannot_be_meant(wrong: dict[str, Any], field: str) -> None:
    """The first of them is named."""
    async with daraja_stage() as stage:
        assert (await stage.qr(**wrong)).error == (400, "400.002.02", f"Bad Request - Invalid {field}")


async def test_faults_and_dead_tokens() -> None:
    """One fault a request; a dead token as elsewhere."""
    async with daraja_stage() as stage:
        stage.lab.next_qr_answers(Fault.SYSTEM_BUSY, None, Fault.HTML_200)
        answers = [await stage.qr() for _ in range(3)]
        assert [answer.status for answer in answers] == [500, 200, 200]
        assert answers[2].content_type == "text/html"
        stage.lab.expire_tokens()
        assert (await stage.qr()).error[1] == "404.001.03"


async def test_sizes_from_one_pixel_up() -> None:
    """Also where there are fewer pixels than cells."""
    async with daraja_stage() as stage:
        for size in ("10", "21", "999"):
            assert (await picture((await stage.qr(Size=size)).body))[0] == int(size)
