from __future__ import annotations

import asyncio

import pytest
from librouteros.exceptions import TrapError
from librouteros.login import async_token
from librouteros.query import And, Key, Or

from easyisp_edge.lab.mikrotik import ApiUser, Fault, FaultKind, MikrotikOptions
from easyisp_edge.lab.mikrotik.api_connection import challenge_response
from tests.fakes.mikrotik_stage import IP, MAC, let_run, mikrotik_stage, until

USER = "/ip/hotspot/user"
TWIN = "failure: already have user with this name for this server"
OLD = MikrotikOptions(old_login=True)


def fields(sentence: tuple[str, ...]) -> dict[str, str]:
    pairs = (word[1:].partition("=") for word in sentence[1:] if word.startswith("="))
    return {name: value for name, _, value in pairs}


async def test_login_as_octets() -> None:
    """The published log-in sentence is answered with the published `!done`."""
    async with mikrotik_stage() as stage:
        client = await stage.raw(logged_in=False)
        client.writer.write(bytes.fromhex("062f6c6f67696e0a3d6e616d653d65646765103d70617373776f72643d73336372657400"))
        assert (await client.octets(7)).hex() == "0521646f6e6500"


async def test_a_wrong_password_traps_and_the_fifth_try_ends_it() -> None:
    """Four failures are told apart from the fifth try, which ends the connection with a bare reason."""
    async with mikrotik_stage() as stage:
        client = await stage.raw(logged_in=False)
        for _ in range(4):
            assert await client.ask("/login", "=name=edge", "=password=no") == [
                ("!trap", "=message=invalid user name or password (6)"),
                ("!done",),
            ]
        assert await client.ask("/login", "=name=edge", "=password=s3cret") == [
            ("!fatal", "too many commands before login")
        ]
        assert await client.at_end()


async def test_a_command_before_login_is_fatal() -> None:
    """Nothing but a log-in is taken before it."""
    async with mikrotik_stage() as stage:
        client = await stage.raw(logged_in=False)
        assert await client.ask("/system/identity/print") == [("!fatal", "not logged in")]
        assert await client.at_end()


async def test_quit_says_so_and_closes() -> None:
    """`/quit` is answered `!fatal` with the reason as a bare word."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask("/quit") == [("!fatal", "session terminated on request")]
        assert await client.at_end()


async def test_old_login_by_challenge() -> None:
    """An old router answers any log-in with a challenge, and takes only its answer."""
    async with mikrotik_stage(OLD) as stage:
        client = await stage.raw(logged_in=False)
        (done,) = await client.ask("/login", "=name=edge", "=password=s3cret")
        assert len(fields(done)["ret"]) == 32
        wrong = await client.ask("/login", "=name=edge", "=response=00" + "0" * 32)
        assert wrong[0] == ("!trap", "=message=cannot log in")
        api = await stage.api(login_method=async_token)
        assert [row async for row in api.path("system", "identity")] == [{"name": "MikroTik"}]


@pytest.mark.parametrize(
    ("challenge", "response"),
    [
        ("93b438ec9b80057c06dd9fe67d56aa9a", "00e134102a9d330dd7b1849fedfea3cb57"),
        ("856780b7411eefd3abadee2058c149a3", "005062f7a5ef124d34675bf3e81f56c556"),
    ],
)
def test_published_challenges(challenge: str, response: str) -> None:
    """Challenges of a real router, with an empty password, give the published responses."""
    assert challenge_response(bytes.fromhex(challenge), "") == response


async def test_adding_a_user_twice_traps() -> None:
    """The second add of a name on the same server is told so, in RouterOS's words, and `!done` follows."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        add = (USER + "/add", "=name=kofi", "=password=7731", "=profile=default", "=limit-uptime=1h")
        assert await client.ask(*add) == [("!done", "=ret=*2")]
        assert await client.ask(*add) == [("!trap", f"=message={TWIN}"), ("!done",)]
        assert await client.ask(USER + "/add", "=name=kofi", "=server=hotspot1") == [("!done", "=ret=*3")]
        assert not stage.router.refused


@pytest.mark.parametrize(("version", "answer"), [("7.18.2", [("!empty",), ("!done",)]), ("7.16.2", [("!done",)])])
async def test_empty_prints_by_version(version: str, answer: list[tuple[str, ...]]) -> None:
    """A print without rows says `!empty` from 7.18 on."""
    async with mikrotik_stage(MikrotikOptions(version=version)) as stage:
        client = await stage.raw()
        assert await client.ask(USER + "/print", "?name=nobody") == answer


async def test_count_only_answers_a_number() -> None:
    """`count-only` gives the count in `=ret=`, of what the query found."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask(USER + "/print", "=count-only=") == [("!done", "=ret=1")]
        assert await client.ask(USER + "/print", "=count-only=", "?name=x") == [("!done", "=ret=0")]


async def test_removing_what_is_gone_traps() -> None:
    """A remove of an id that does not exist answers `no such item`."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask(USER + "/remove", "=.id=*FFFF") == [("!trap", "=message=no such item"), ("!done",)]
        assert not stage.router.refused


@pytest.mark.parametrize(
    ("words", "trap"),
    [
        (
            (USER + "/add", "=name=x", "=profile=nope"),
            ("=category=1", "=message=input does not match any value of profile"),
        ),
        (
            (USER + "/add", "=name=x", "=server=nope"),
            ("=category=1", "=message=input does not match any value of server"),
        ),
        (
            (USER + "/add", "=name=x", "=limit-uptime=soon"),
            ("=category=1", "=message=invalid value for argument limit-uptime"),
        ),
        ((USER + "/add", "=name=x", "=rate-limit=1M"), ("=message=unknown parameter rate-limit",)),
        ((USER + "/add", "=password=x"), ("=message=missing value(s) of argument(s) name",)),
        ((USER + "/print", "=.proplist=name", "=colour=red"), ("=message=unknown parameter colour",)),
        ((USER + "/fly",), ("=message=no such command",)),
        (("/ip/hotpot/print",), ("=message=no such command prefix",)),
        ((USER + "/set", "=name=x"), ("=message=missing value(s) of argument(s) numbers",)),
        ((USER + "/remove", "=.id=*XY"), ("=message=invalid internal item number",)),
    ],
)
async def test_what_the_version_does_not_have_is_refused(words: tuple[str, ...], trap: tuple[str, ...]) -> None:
    """Unknown commands, arguments and values trap in RouterOS's words and are remembered as refused."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask(*words) == [("!trap", *trap), ("!done",)]
        assert [refusal.words for refusal in stage.router.refused] == [words]
        assert words in stage.router.commands_seen


async def test_names_may_be_shortened_while_clear() -> None:
    """The beginning of one name stands for it; of two names it is ambiguous."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        for name in ("gold-1h", "gold-1d"):
            await client.ask(USER + "/profile/add", f"=name={name}")
        shortened = await client.ask(USER + "/add", "=name=a", "=profile=gold-1h")
        assert shortened[-1][0] == "!done"
        ambiguous = await client.ask(USER + "/add", "=name=b", "=profile=gold")
        assert "ambiguous value of profile" in ambiguous[0][-1]
        await client.ask(USER + "/add", "=name=c", "=profile=def")
        assert [fields(row)["profile"] for row in await client.ask(USER + "/print", "?name=c") if row[0] == "!re"] == [
            "default"
        ]


async def test_unset_fields_are_absent_and_spans_normal() -> None:
    """What is not set does not print, and what is prints in normal form."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        await client.ask(USER + "/add", "=name=kofi", "=limit-uptime=24:00:00", "=disabled=no", "=limit-bytes-in=0")
        row = fields((await client.ask(USER + "/print", "?name=kofi"))[0])
        assert row == {
            ".id": "*2",
            "name": "kofi",
            "profile": "default",
            "limit-uptime": "1d",
            "disabled": "false",
            "dynamic": "false",
            "uptime": "0s",
            "bytes-in": "0",
            "bytes-out": "0",
            "packets-in": "0",
            "packets-out": "0",
        }
        await client.ask(USER + "/set", "=numbers=kofi", "=limit-uptime=0s", "=comment=ndizi é")
        row = fields((await client.ask(USER + "/print", "?name=kofi"))[0])
        assert "limit-uptime" not in row
        assert row["comment"] == "ndizi é"


async def test_a_proplist_may_leave_a_row_bare() -> None:
    """A row without any of the listed fields still comes, as a bare `!re`."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask(USER + "/print", "=.proplist=comment") == [("!re",), ("!done",)]


async def test_getall_is_print() -> None:
    """`getall` is the API's other name for print."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask("/system/identity/getall") == [("!re", "=name=MikroTik"), ("!done",)]


async def test_get_gives_one_field() -> None:
    """`get` answers the value in `=ret=`."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        got = await client.ask(USER + "/profile/get", "=.id=default", "=value-name=shared-users")
        assert got == [("!done", "=ret=1")]


async def test_passwords_need_the_sensitive_policy() -> None:
    """A user without `sensitive` never sees a password; one with it does."""
    full = ApiUser("full", "pw", frozenset({"read", "write", "api", "sensitive"}))
    async with mikrotik_stage(MikrotikOptions(api_users=(ApiUser("edge", "s3cret"), full))) as stage:
        edge, seeing = await stage.api(), await stage.api("full", "pw")
        await edge.path("ip", "hotspot", "user").add(name="kofi", password="7731")
        plain, shown = [
            [row async for row in users.select(Key("password")).where(Key("name") == "kofi")]
            for users in (edge.path("ip", "hotspot", "user"), seeing.path("ip", "hotspot", "user"))
        ]
        assert (plain, shown) == ([], [{"password": 7731}])


async def test_writing_needs_the_write_policy() -> None:
    """A read-only user may print, and nothing else."""
    reader = ApiUser("edge", "s3cret", frozenset({"read", "api"}))
    async with mikrotik_stage(MikrotikOptions(api_users=(reader,))) as stage:
        client = await stage.raw()
        refused = await client.ask(USER + "/add", "=name=x")
        assert refused == [("!trap", "=message=not enough permissions (9)"), ("!done",)]
        assert (await client.ask(USER + "/print"))[-1] == ("!done",)


async def test_sessions_are_bounded_and_shown() -> None:
    """Each log-in is a row of `/user/active`, and connections beyond the bound are refused at once."""
    async with mikrotik_stage(MikrotikOptions(max_sessions=2)) as stage:
        first = await stage.raw()
        await stage.raw()
        assert await (await stage.raw(logged_in=False)).at_end()
        rows = [row for row in await first.ask("/user/active/print") if row[0] == "!re"]
        assert [fields(row)["name"] for row in rows] == ["edge", "edge"]


async def test_addresses_outside_the_list_are_turned_away() -> None:
    """The service's address list closes the door without a word."""
    async with mikrotik_stage(MikrotikOptions(api_addresses=frozenset({"10.0.0.1"}))) as stage:
        assert await (await stage.raw(logged_in=False)).at_end()


async def test_commands_sent_ahead_are_answered_in_order() -> None:
    """Several sentences in one segment, an empty one between, give their answers in turn."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        await client.send("/system/identity/set", "=name=One")
        client.writer.write(b"\x00")
        await client.send("/system/identity/print")
        await client.send(USER + "/print", "=count-only=")
        assert [await client.answer() for _ in range(3)] == [
            [("!done",)],
            [("!re", "=name=One"), ("!done",)],
            [("!done", "=ret=1")],
        ]


async def test_sentences_may_come_an_octet_at_a_time() -> None:
    """Where TCP cuts a sentence makes no difference."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        for octet in bytes.fromhex("162f69702f686f7473706f742f757365722f7072696e740a3f6e616d653d6b6f666900"):
            client.writer.write(bytes((octet,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert await client.answer() == [("!empty",), ("!done",)]


async def test_what_was_sent_before_leaving_is_carried_out() -> None:
    """A client that sends and closes still has its command done."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        await client.send(USER + "/add", "=name=kofi")
        await client.close()
        await until(lambda: any(row["name"] == "kofi" for row in stage.router.users))


async def test_tags_are_echoed_on_every_sentence() -> None:
    """Rows, traps and ends of a tagged command carry its tag."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        assert await client.ask("/system/identity/print", ".tag=7") == [
            ("!re", ".tag=7", "=name=MikroTik"),
            ("!done", ".tag=7"),
        ]
        assert await client.ask(USER + "/fly", ".tag=8") == [
            ("!trap", ".tag=8", "=message=no such command"),
            ("!done", ".tag=8"),
        ]


async def test_cancel_interrupts_the_tagged_command() -> None:
    """`/cancel` traps the command as interrupted, ends itself, then ends the command."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.add(Fault(FaultKind.HANG))
        await client.send("/system/identity/print", ".tag=7")
        await let_run()
        await client.send("/cancel", "=tag=7", ".tag=8")
        assert [await client.read() for _ in range(3)] == [
            ("!trap", ".tag=7", "=category=2", "=message=interrupted"),
            ("!done", ".tag=8"),
            ("!done", ".tag=7"),
        ]


async def test_an_overlong_word_before_login_ends_the_connection() -> None:
    """Before a log-in the router bounds how long words may be."""
    async with mikrotik_stage() as stage:
        client = await stage.raw(logged_in=False)
        client.writer.write(b"\xc1\x00\x00")
        assert await client.at_end()


async def test_librouteros_reads_writes_and_queries() -> None:
    """The library's paths, selects and conditions work as against a real router."""
    async with mikrotik_stage() as stage:
        api = await stage.api()
        users = api.path("ip", "hotspot", "user")
        ids = [await users.add(name=name, comment=comment) for name, comment in (("a", "1"), ("b", "2"), ("c", "3"))]
        await users.update(numbers=ids[0], disabled=True)
        name, disabled, comment = Key("name"), Key("disabled"), Key("comment")
        found = users.select(name).where(And(disabled == False, Or(comment == 1, comment == 2)))  # noqa: E712 - a query
        assert [row async for row in found] == [{"name": "b"}]
        either = users.select(name).where(name.In("a", "c"))
        assert [row async for row in either] == [{"name": "a"}, {"name": "c"}]
        await users.remove(*ids[1:])
        assert [row["name"] async for row in users] == ["default-trial", "a"]
        with pytest.raises(TrapError, match="no such item"):
            await users.remove()


async def test_built_in_rows_stay() -> None:
    """What RouterOS puts there itself cannot be removed."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        for row in (USER + "/remove", USER + "/profile/remove"):
            kept = "default-trial" if row == USER + "/remove" else "default"
            assert (await client.ask(row, f"=numbers={kept}"))[0][0] == "!trap"


async def test_names_follow_their_row() -> None:
    """Renaming a profile renames it at its users; removing it leaves them its id."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        await client.ask(USER + "/profile/add", "=name=gold")
        await client.ask(USER + "/add", "=name=kofi", "=profile=gold")
        await client.ask(USER + "/profile/set", "=.id=gold", "=name=silver")
        assert stage.router.users[-1]["profile"] == "silver"
        await client.ask(USER + "/profile/remove", "=.id=silver")
        assert stage.router.users[-1]["profile"] == "*2"


async def test_rules_can_be_placed_and_moved() -> None:
    """Ordered lists take `place-before`, `move`, `unset` and copies."""
    async with mikrotik_stage() as stage:
        garden = "/ip/hotspot/walled-garden/ip"
        client = await stage.raw()
        await client.ask(garden + "/add", "=comment=a", "=dst-port=80", "=protocol=tcp")
        await client.ask(garden + "/add", "=comment=b", "=place-before=*1", "=copy-from=*1")
        await client.ask(garden + "/add", "=comment=c")
        await client.ask(garden + "/move", "=numbers=*3", "=destination=*2")
        await client.ask(garden + "/unset", "=numbers=*2", "=value-name=dst-port")
        rows = [fields(row) for row in await client.ask(garden + "/print", "=.proplist=comment,dst-port")][:-1]
        assert rows == [{"comment": "c"}, {"comment": "b"}, {"comment": "a", "dst-port": "80"}]


@pytest.mark.parametrize(
    ("kind", "done"), [(FaultKind.DROP, False), (FaultKind.DROP_AFTER, True), (FaultKind.HANG_AFTER, True)]
)
async def test_faults_end_before_or_after_the_deed(kind: FaultKind, *, done: bool) -> None:
    """A connection may die, or say nothing more, before or after the command ran."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.add(Fault(kind, USER + "/add"))
        await client.send(USER + "/add", "=name=kofi")
        if kind is FaultKind.HANG_AFTER:
            await until(lambda: len(stage.router.users) == 2)
            client.writer.write_eof()
        assert await client.at_end()
        assert any(row["name"] == "kofi" for row in stage.router.users) is done
        again = await stage.raw()
        assert (await again.ask(USER + "/print", "=count-only="))[0][0] == "!done"


async def test_slow_commands_are_answered_late() -> None:
    """A slow command runs and answers after its time."""
    async with mikrotik_stage() as stage:
        client = await stage.raw()
        stage.router.faults.add(Fault(FaultKind.SLOW, seconds=30))
        stage.router.faults.add(Fault(FaultKind.TRAP, "/system/identity", message="failure: busy"))
        await client.send(USER + "/print", "=count-only=")
        await until(lambda: len(stage.router.commands_seen) == 2)
        await let_run()
        await stage.clock.advance(29)
        assert not client.reader._buffer  # type: ignore[attr-defined]
        await stage.clock.advance(1)
        assert await client.answer() == [("!done", "=ret=1")]
        assert (await client.ask("/system/identity/print"))[0] == ("!trap", "=message=failure: busy")


async def test_the_clock_s_date_changed_with_7_10() -> None:
    """Before 7.10 the month is a word, since then the date is ISO."""
    for version, date in (("7.9.2", "nov/21/2026"), ("7.20.8", "2026-11-21")):
        async with mikrotik_stage(MikrotikOptions(version=version)) as stage:
            client = await stage.raw()
            assert f"=date={date}" in (await client.ask("/system/clock/print"))[0]
            resource = fields((await client.ask("/system/resource/print"))[0])
            assert resource["version"] == f"{version} (stable)"


async def test_a_binding_made_of_a_host() -> None:
    """`make-binding` writes the host's MAC and address into an ip-binding."""
    async with mikrotik_stage() as stage:
        stage.router.connect_device(MAC, IP)
        client = await stage.raw()
        await client.ask("/ip/hotspot/host/make-binding", "=numbers=*1", "=type=bypassed", "=comment=tv")
        row = fields((await client.ask("/ip/hotspot/ip-binding/print"))[0])
        assert (row["mac-address"], row["address"], row["type"], row["comment"]) == (MAC, IP, "bypassed", "tv")
        assert stage.router.is_online(MAC)
        assert not stage.router.active
