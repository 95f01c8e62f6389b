"""What no honest client sends: bodies, fields, parameters, methods, headers, and what is no HTTP at all."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from tests.whole.stage import MAC

ORDER: dict[str, Any] = {"phone": "0733000111", "packageId": "1h", "macAddress": MAC, "nasIp": ""}
FORM = {"package": "1h", "phone": "0733000111", "d": "", "lang": "en", "key": "0" * 32}
JSON_TYPE = (("Content-Type", b"application/json"),)
FORM_TYPE = (("Content-Type", b"application/x-www-form-urlencoded"),)
LATIN_ONE = b"\xe9\xff"

# What is no JSON object, or none that everything downstream can take.
BROKEN_BODIES = {
    "nothing": b"",
    "blank": b" \r\n",
    "half": b'{"phone": "0712',
    "no object": b"[]",
    "null": b"null",
    "text": b'"phone"',
    "number": b"12",
    "deep as the parser goes": b'{"a":' * 2500 + b"1" + b"}" * 2500,
    "just within the parser": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    "deeper than ours": b'{"a":' + b"[" * 17 + b"]" * 17 + b"}",
    "an order with depth": json.dumps(ORDER)[:-1].encode() + b', "more": ' + b"[" * 17 + b"]" * 17 + b"}",
    "a hundred thousand deep": b"[" * 100_000,
    "a hundred thousand deep, closed": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "5000 digits": b'{"phone":' + b"7" * 5000 + b"}",
    "more than 64 bits": b'{"phone":9223372036854775808}',
    "overflow": b'{"phone":1e400}',
    "NaN": b'{"phone":NaN}',
    "infinity": b'{"phone":-Infinity}',
    "half a surrogate pair": b'{"phone":"\\ud800","packageId":"1h"}',
    "half a pair as a name": b'{"\\udfff":1}',
    "said twice": b'{"phone":"0733000111","phone":"0733000112","packageId":"1h"}',
    "said twice inside": b'{"phone":"0733000111","packageId":"1h","more":{"a":1,"a":2}}',
    "no UTF-8": b'{"phone":"' + LATIN_ONE + b'"}',
    "octet zero": b'\x00{"phone":"0733000111"}',
    "zero only": b"\x00",
    "a megabyte": b'{"phone":"' + b"7" * 1_000_000 + b'"}',
    "one octet too long": b'{"a":"' + b"a" * (16 * 1024 - 7) + b'"}',
    "a form": urlencode(ORDER).encode(),
    "percent": b"%",
    "percent zero": b"phone=%00&package=1h",
    "a form that is no UTF-8": b"phone=%ff&package=1h",
    "a field twice": b"phone=0733000111&package=1h&phone=0733000112",
    "a hundred fields": b"&".join(b"a%d=1" % number for number in range(100)),
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "multipart": b'--x\r\nContent-Disposition: form-data; name="phone"\r\n\r\n0733000111\r\n--x--\r\n',
}
BODY_TYPES = (
    JSON_TYPE,
    FORM_TYPE,
    (("Content-Type", b"multipart/form-data; boundary=x"),),
    (("Content-Type", b"application/json; charset=utf-7"),),
    (("Content-Type", b"\xff/;;="),),
    (),
)
# No text of any length, or text nobody can mean.
NO_TEXTS: dict[str, Any] = {
    "true": True,
    "false": False,
    "fraction": 1.5,
    "list": ["0733000111"],
    "empty list": [],
    "object": {"$ne": ""},
    "too long": "7" * 500,
    "newline": "07330\n00111",
    "carriage return": "07330\r00111",
    "octet zero": "07330\x0000111",
    "delete": "1\x7fh",
    "half a pair": "\ud800",
}
WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "phone": {
        "missing": None,
        "empty": "",
        "blank": "   ",
        "words": "my phone",
        "short": "071234567",
        "long": "07123456789",
        "abroad": "+255712345678",
        "landline": "0202345678",
        "Arabic digits": "\u0660\u0667\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "fullwidth digits": "0\uff1712345678",
        "SQL": "0712345678' OR 1=1 --",
        "RouterOS": "0712345678\\=name=admin",
    },
    "packageId": {"missing": None, "empty": "", "blank": " "},
    "macAddress": {
        "blank": " ",
        "words": "my phone",
        "short": "AA:BB:CC:00:00",
        "Arabic digits": "AA:BB:CC:00:00:0\u0661",
        "SQL": "AA:BB:CC:00:00:01';--",
        "number": 0,
    },
    "purchaseId": {"short": "abc", "upper": "A" * 32, "long": "a" * 33, "Arabic": "\u0661" * 32, "blank": " "},
    "tenantId": {"another": "somebody-else", "SQL": "' OR ''='", "number": 7},
    "nasIp": {},
}
WRONG_FORM_FIELDS: dict[str, dict[str, str]] = {
    "package": {"empty": "", "blank": " ", "too long": "1" * 65, "newline": "1\nh", "octet zero": "1h\x00"},
    "phone": {name: str(value or "") for name, value in WRONG_FIELDS["phone"].items()},
    "key": {name: str(value) for name, value in WRONG_FIELDS["purchaseId"].items()},
    "d": {"no base64": "!", "no MAC": "eHh4fA", "Arabic": "\u0661\u0661", "long": "A" * 5000, "no UTF-8": "_____w"},
    "tenantId": {"another": "somebody-else"},
}
ODD_VALUES = (
    "",
    " ",
    "0",
    "-1",
    "true",
    "null",
    "[]",
    "a" * 400,
    "\x00",
    "a\r\nSet-Cookie: a=b",
    "\r\n\r\nHTTP/1.1 200 OK",
    "\u0660\u0661\u0662",
    "\u202e\u2028",
    "🙂",
    "../../etc/passwd",
    "' OR 1=1 --",
    "$(reboot)",
    "{{7*7}}",
    "%s%n{0.__class__}",
    "AA:BB:CC:00:00:01",
    "AA:BB:CC:00:00:0\u0661",
    "QUE6QkI6Q0M6MDA6MDA6MDF8bWFpbg",
    "//evil.example",
)
ODD_OCTETS = ("%ff", "%ED%A0%80", "%C0%AF", "%", "%zz", "%00", "+", "%u0041", "a;b=c", "a%26b")
NAMES = (
    *("mac", "ip", "d", "lang", "package", "router", "tenantId", "nasIp", "checkoutRequestId", "more"),
    *("error", "link-orig", "link-login-only", "username", "key", "phone", ""),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")
ODD_HEADERS: dict[str, tuple[tuple[str, bytes], ...]] = {
    "languages without end": (("Accept-Language", b"sw;q=0.1," * 700),),
    "no language": (("Accept-Language", b";q=;,=,\xff\xfe,*;q=nan,sw;q=1e999"),),
    "a foreign host": (("Host", b"evil.example"),),
    "a host that is no name": (("Host", b'"><script>alert(1)</script>'),),
    "a host beyond ASCII": (("Host", b"\xff\xfe\xc3\xa9"),),
    "an empty host": (("Host", b""),),
    "a host with a port": (("Host", b"10.5.50.2:99999999"),),
    "half a bracket": (("Host", b"[::1"),),
    "somebody else's address": (("X-Forwarded-For", b"127.0.0.9"), ("Forwarded", b"for=127.0.0.9;host=evil")),
    "another method by header": (("X-HTTP-Method-Override", b"DELETE"),),
    "cookies": (("Cookie", b'a="\xff; b=;;;=; $Version=1'),),
    "a range": (("Range", b"bytes=9999999999-0,-5"),),
    "what is not cached": (("If-None-Match", b'W/"\xff'), ("If-Modified-Since", b"yesterday")),
    "accepts nothing": (("Accept", b"\xff/*;q=0"), ("Accept-Encoding", b"br;q=1, *;q=0")),
    "a login": (("Authorization", b"Basic \xff\xff"),),
    "an upgrade": (("Upgrade", b"h2c"),),
    "a length of text": (("Content-Type", b"a" * 4000),),
}
NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /?mac=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA" + b"a" * 9000 + b": b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
    b"POST /buy HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /buy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /buy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /buy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /buy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
)
