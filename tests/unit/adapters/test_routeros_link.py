from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import pytest

from easyisp_edge.adapters.routeros import connection as connection_module
from easyisp_edge.adapters.routeros.connection import dial
from easyisp_edge.adapters.routeros.link import RouterLink
from easyisp_edge.errors import RefusedError, UnavailableError
from tests.fakes.scripted_routeros import DONE, Fault, ScriptedRouter, Step, encode_sentence, encode_word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from easyisp_edge.adapters.routeros.connection import ApiConnection

PASSWORD = "s3cret-of-the-router"


def reach(router: ScriptedRouter, *, deadline_seconds: float = 5.0) -> RouterLink:
    connect = functools.partial(dial, "127.0.0.1", router.port, username="edge", password=PASSWORD)
    return RouterLink("test", connect, deadline_seconds=deadline_seconds)


@contextlib.asynccontextmanager
async def linked(
    answer: Callable[[list[str]], Sequence[Step]], *, deadline_seconds: float = 5.0
) -> AsyncIterator[tuple[ScriptedRouter, RouterLink]]:
    async with ScriptedRouter(answer) as router:
        link = reach(router, deadline_seconds=deadline_seconds)
        try:
            yield router, link
        finally:
            await link.close()


def echo(words: list[str]) -> Sequence[Step]:
    """Answer with one row that holds the arguments."""
    return [("!re", *words[1:]), ("!done",)]


def once(first: Sequence[Step]) -> Callable[[list[str]], Sequence[Step]]:
    """Answer the first command so, and echo after."""
    steps = iter([first])
    return lambda words: next(steps, echo(words))


async def test_login_is_one_sentence_with_name_and_password() -> None:
    """A session begins with the login sentence of RouterOS 6.43 and later."""
    async with linked(echo) as (router, link):
        await link.run("/x", {})
        assert router.logins == [["/login", "=name=edge", f"=password={PASSWORD}"]]


@pytest.mark.parametrize(
    "value",
    ["12345", "007", "yes", "true", "no", "", "a=b=c", "Wanjikũ ☕", "x" * 127, "x" * 128, "y" * 20_000],
    ids=lambda value: f"{value[:8]}-{len(value)}",
)
async def test_values_stay_text(value: str) -> None:
    """What looks like a number or a yes stays the text it is, both ways, at any length."""
    async with linked(echo) as (_, link):
        reply = await link.run("/x", {"name": value})
        assert reply.rows == [{"name": value}]


async def test_a_word_of_two_million_octets_is_carried() -> None:
    """The longest length form the library writes is read back whole."""
    async with linked(echo) as (_, link):
        value = "z" * 2_100_000
        assert (await link.run("/x", {"name": value})).rows == [{"name": value}]


async def test_a_print_asks_for_its_fields_and_its_rows() -> None:
    """A read sends the list of fields and one query per condition."""
    async with linked(lambda _: [("!re", "=.id=*1"), ("!re",), ("!done",)]) as (router, link):
        rows = await link.read("/ip/hotspot/user", (".id", "name"), where={"name": "kofi", "server": "all"})
        assert router.received == [["/ip/hotspot/user/print", "=.proplist=.id,name", "?name=kofi", "?server=all"]]
        assert rows == [{".id": "*1"}, {}]


@pytest.mark.parametrize("steps", [DONE, [("!empty",), ("!done",)], [("!news", "=a=b"), ("!done",)]])
async def test_no_rows_in_any_version(steps: Sequence[Step]) -> None:
    """No row found reads the same with `!empty` of 7.18, without it, and with a word of versions to come."""
    async with linked(lambda _: steps) as (_, link):
        assert await link.read("/ip/hotspot/user", (".id",)) == []


async def test_the_id_of_an_add_comes_with_done() -> None:
    """What the closing sentence carries is handed on."""
    async with linked(lambda _: [("!done", "=ret=*1A")]) as (_, link):
        assert (await link.run("/x/add", {})).done == {"ret": "*1A"}


@pytest.mark.parametrize(
    ("traps", "message"),
    [
        ([("!trap", "=category=1", "=message=no such thing")], "no such thing"),
        ([("!trap", "=message=12345")], "12345"),
        ([("!trap", "=message=one"), ("!trap", "=message=two")], "one; two"),
        ([("!trap",)], "no reason given"),
    ],
)
async def test_a_trap_is_a_refusal_and_the_session_goes_on(traps: list[Step], message: str) -> None:
    """A trap, or several, or one without a word, is the router's no; the connection stays good."""
    async with linked(once([*traps, ("!done",)])) as (router, link):
        with pytest.raises(RefusedError) as refused:
            await link.run("/x", {})
        assert (refused.value.code, refused.value.message) == ("router.refused", message)
        assert (await link.run("/y", {"a": "1"})).rows == [{"a": "1"}]
        assert router.connections == 1


@pytest.mark.parametrize(
    "steps",
    [
        [("!fatal", "session terminated"), Fault.DROP],
        [("!fatal",), Fault.DROP],
        [("!re", "garbage"), ("!done",)],
        [("!re", ".tag=5=6"), ("!done",)],
        [b"\0"],
        [b"\xf8"],
        [b"\x05!re"],
        [encode_word("!re") + b"\x06=a="],
        [("!re", "=a=b"), Fault.DROP],
        [Fault.DROP],
        [("!trap", "=message=never finished")],
        [b"\xef\xff\xff\xff"],
    ],
    ids=[
        "fatal",
        "fatal-without-reason",
        "word-without-marker",
        "word-with-tag",
        "empty-sentence",
        "reserved-control-byte",
        "hang-in-length",
        "hang-in-word",
        "drop-between-sentences",
        "drop-after-command",
        "trap-without-done",
        "absurd-length",
    ],
)
async def test_anything_else_is_unavailable_and_the_next_command_has_a_new_session(
    steps: Sequence[Step],
) -> None:
    """After any trouble but a trap the connection is dropped, and the next command gets its own answer."""
    async with linked(once(steps), deadline_seconds=0.3) as (router, link):
        with pytest.raises(UnavailableError) as unavailable:
            await link.run("/x", {"n": "first"})
        assert unavailable.value.code == "router.unreachable"
        assert (await link.run("/x", {"n": "second"})).rows == [{"n": "second"}]
        assert router.connections == 2
        assert router.received == [["/x", "=n=first"], ["/x", "=n=second"]]


async def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer longer than any we ask for is broken off; the next command has the whole allowance again."""
    monkeypatch.setattr(connection_module, "REPLY_OCTETS_MAX", 2000)
    async with linked(once([("!re", "=a=b")] * 1000)) as (router, link):
        with pytest.raises(UnavailableError, match="2000 octets"):
            await link.run("/x", {})
        for _ in range(20):
            await link.run("/y", {"a": "b" * 150})
        assert router.connections == 2


async def test_a_long_answer_leaves_room_for_others() -> None:
    """While a long answer is read that has all arrived, other tasks get their turns."""
    rows = 5000
    async with linked(lambda _: [encode_sentence("!re", "=a=b") * rows, ("!done",)]) as (_, link):
        await link.run("/x", {})
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count_turns())
        await link.run("/x", {})
        counting.cancel()
        assert turns >= rows // connection_module.ROWS_AT_A_STRETCH


async def test_a_late_answer_is_never_taken_for_the_next() -> None:
    """A command given up on leaves nothing behind that a later one could read."""
    async with linked(once([Fault.HANG]), deadline_seconds=0.2) as (_, link):
        with pytest.raises(UnavailableError, match=r"nothing whole within 0\.2 s"):
            await link.run("/x", {"n": "first"})
        assert (await link.run("/x", {"n": "second"})).rows == [{"n": "second"}]


async def test_an_answer_that_comes_after_all_is_never_taken_for_the_next() -> None:
    """What a router says after the deadline is read by nobody: the next command has its own session and answer."""
    late: Sequence[Step] = [0.35, ("!re", "=n=late"), ("!done",)]
    async with linked(once(late), deadline_seconds=0.2) as (router, link):
        with pytest.raises(UnavailableError):
            await link.run("/x", {"n": "first"})
        for n in range(20):  # until long after the late answer was sent
            assert (await link.run("/x", {"n": str(n)})).rows == [{"n": str(n)}]
            await asyncio.sleep(0.01)
        assert router.connections == 2


async def test_a_router_that_dribbles_rows_has_one_deadline_for_all_of_them() -> None:
    """Rows that keep coming, each in good time, do not hold a command for longer than its deadline."""
    dribble: Sequence[Step] = [step for _ in range(100) for step in (0.02, ("!re", "=n=row"))]
    async with linked(once(dribble), deadline_seconds=0.3) as (_, link):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError, match=r"nothing whole within 0\.3 s"):
            await link.run("/x", {})
        assert asyncio.get_running_loop().time() - begun < 1.5
        assert (await link.run("/x", {"n": "second"})).rows == [{"n": "second"}]


async def test_cancelling_a_command_drops_the_connection() -> None:
    """Whoever gives up in the middle leaves a clean slate."""
    async with linked(once([Fault.HANG])) as (router, link):
        task = asyncio.ensure_future(link.run("/x", {"n": "first"}))
        await router.heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await link.run("/x", {"n": "second"})).rows == [{"n": "second"}]
        assert router.connections == 2


async def test_commands_of_many_tasks_take_turns() -> None:
    """Commands started at once share one connection, and each gets the answer to its own."""
    async with linked(echo) as (router, link):
        replies = await asyncio.gather(*(link.run("/x", {"n": str(n)}) for n in range(50)))
        assert [reply.rows for reply in replies] == [[{"n": str(n)}] for n in range(50)]
        assert router.connections == 1


async def test_cancelling_a_waiting_command_disturbs_no_other() -> None:
    """A command cancelled before its turn sends nothing and leaves the connection alone."""
    async with linked(echo) as (router, link):
        first = asyncio.ensure_future(link.run("/x", {"n": "1"}))
        second = asyncio.ensure_future(link.run("/x", {"n": "2"}))
        await asyncio.sleep(0)
        second.cancel()
        assert (await first).rows == [{"n": "1"}]
        await link.run("/x", {"n": "3"})
        assert router.received == [["/x", "=n=1"], ["/x", "=n=3"]]
        assert router.connections == 1


async def test_waiting_for_a_dead_router_is_bounded_for_all() -> None:
    """However many wait for a router that hangs, all know within twice the deadline."""
    async with linked(lambda _: [Fault.HANG], deadline_seconds=0.05) as (_, link):
        waiting = (link.run("/x", {"n": str(n)}) for n in range(20))
        async with asyncio.timeout(1):
            ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {UnavailableError}


async def test_a_connection_the_router_closed_meanwhile_is_opened_anew() -> None:
    """A router that rebooted between two commands costs no failed command."""
    async with linked(echo) as (router, link):
        await link.run("/x", {})
        router.hang_up()
        await router.all_left()
        await asyncio.sleep(0.01)
        await link.run("/x", {})
        assert router.connections == 2


async def test_a_router_that_is_off_is_unavailable_and_comes_back() -> None:
    """Nobody at the address is unavailable, not an end."""
    ports: list[int] = []

    async def connect() -> ApiConnection:
        return await dial("127.0.0.1", ports[-1], username="edge", password=PASSWORD)

    link = RouterLink("test", connect)
    async with ScriptedRouter(echo) as router:
        ports.append(router.port)
    with pytest.raises(UnavailableError) as unavailable:
        await link.run("/x", {})
    assert unavailable.value.code == "router.unreachable"
    async with ScriptedRouter(echo) as router:
        ports.append(router.port)
        assert (await link.run("/x", {"a": "b"})).rows == [{"a": "b"}]
        await link.close()


@pytest.mark.parametrize(
    "answer",
    [
        [("!trap", "=message=invalid user name or password (6)"), ("!done",)],
        [("!done", "=ret=93b438ec9b80057c06dd9fe67d56aa9a")],
    ],
    ids=["wrong-password", "router-before-6.43"],
)
async def test_a_login_not_taken_is_unavailable_with_its_own_code(answer: Sequence[Step]) -> None:
    """A wrong password, or a router too old for our login, can be mended; it never ends the daemon."""
    async with linked(echo) as (router, link):
        router.login_answer = answer
        with pytest.raises(UnavailableError) as unavailable:
            await link.run("/x", {})
        assert unavailable.value.code == "router.login_refused"
        router.login_answer = DONE
        assert (await link.run("/x", {"a": "b"})).rows == [{"a": "b"}]


async def test_a_login_that_hangs_leaves_no_connection() -> None:
    """The deadline covers connecting, and what was half open is closed."""
    async with linked(echo, deadline_seconds=0.2) as (router, link):
        router.login_answer = [Fault.HANG]
        with pytest.raises(UnavailableError):
            await link.run("/x", {})
        router.login_answer = DONE
        await link.run("/x", {})
        assert router.connections == 2


async def test_closing_ends_the_session() -> None:
    """After `close` the router has no session of ours; a second close is harmless."""
    async with ScriptedRouter(echo) as router:
        link = reach(router)
        await link.run("/x", {})
        await link.close()
        await link.close()
        async with asyncio.timeout(1):
            await router.all_left()


async def test_no_word_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Passwords on the wire stay out of the log, also with everything logged."""
    caplog.set_level(logging.DEBUG)
    async with linked(lambda _: [Fault.DROP]) as (_, link):
        with pytest.raises(UnavailableError):
            await link.run("/x", {"password": "of-a-customer"})
    assert "connection dropped at /x" in caplog.text
    assert PASSWORD not in caplog.text
    assert "of-a-customer" not in caplog.text
