"""The bare references for the HTTP door: aiohttp with a JSON answer, and with one durable SQLite insert.

Run as a process with a port and a file name; serves `/json` and `/insert`.
"""

from __future__ import annotations

import json
import sqlite3
import sys

from aiohttp import web

from tests.bench.serving import serve_http

_ANSWER = {"status": "completed", "step": "connecting", "username": "ABCDEFGHJK", "password": "ABCDEFGHJKMNPQRSTVWX"}
_DATABASE: web.AppKey[sqlite3.Connection] = web.AppKey("database", sqlite3.Connection)


async def answer_json(_request: web.Request) -> web.Response:
    """A small JSON object."""
    return web.Response(body=json.dumps(_ANSWER).encode(), content_type="application/json")


async def insert(request: web.Request) -> web.Response:
    """The body as one row, on the disk before it is answered."""
    body = await request.read()
    json.loads(body)
    request.app[_DATABASE].execute("INSERT INTO callbacks (body) VALUES (?)", (body,))
    return await answer_json(request)


def _open_database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE callbacks (number INTEGER PRIMARY KEY, body BLOB)")
    return database


def main(port: int, path: str) -> None:
    """Serve until terminated."""
    app = web.Application()
    app[_DATABASE] = _open_database(path)
    app.add_routes([web.get("/json", answer_json), web.post("/insert", insert)])
    serve_http(app, port)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
