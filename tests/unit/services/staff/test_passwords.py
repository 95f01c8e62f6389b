"""Passwords are hashed as they should be, one at a time, and off the event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
from nacl.pwhash import argon2id

from easyisp_edge.errors import UnavailableError
from easyisp_edge.services.staff.passwords import WAITING_MAX, Cost, Passwords
from tests.fakes.clocks import SeededRandomness, until

CHEAP = Cost(1, 8192)


async def test_a_hash_is_its_passwords_alone() -> None:
    """It fits the password it was made of, and no other; two of the same differ by their salt."""
    passwords = Passwords(SeededRandomness(), CHEAP)
    one, two = await passwords.hashed("pässword one"), await passwords.hashed("pässword one")
    assert one != two
    assert await passwords.fits("pässword one", one)
    assert await passwords.fits("pässword one", two)
    assert not await passwords.fits("pässword two", one)
    assert not await passwords.fits("", one)


async def test_hashes_are_written_as_everybody_reads_them() -> None:
    """The library's own check takes them; the usual cost stands in them."""
    made = await Passwords(SeededRandomness()).hashed("a good password")
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert argon2id.verify(made.encode(), b"a good password")


async def test_nobody_fits_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no user a hash of the same cost is worked out all the same."""
    checked: list[bytes] = []
    real = argon2id.verify

    def verify(password_hash: bytes, password: bytes) -> bool:
        checked.append(password_hash)
        return real(password_hash, password)

    monkeypatch.setattr(argon2id, "verify", verify)
    passwords = Passwords(SeededRandomness())
    assert not await passwords.fits("whatever it is", None)
    assert [each.rsplit(b"$", 2)[0] for each in checked] == [b"$argon2id$v=19$m=19456,t=2,p=1"]


async def test_one_hash_at_a_time() -> None:
    """However many ask, and also where one of them has gone away; the loop goes on meanwhile."""
    passwords, at_once, most, gate = Passwords(SeededRandomness(), CHEAP), [0], [0], threading.Event()

    def work() -> None:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        gate.wait(5)
        at_once[0] -= 1

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(passwords._in_turn(work))
        await until(lambda: at_once[0])
        first.cancel()
        rest = [tasks.create_task(passwords._in_turn(work)) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        gate.set()
    assert all(each.done() for each in rest)
    assert most[0] == 1


async def test_no_more_wait_than_can_be_served() -> None:
    """Who comes then is told to come again, at once; afterwards all is as before."""
    passwords, gate = Passwords(SeededRandomness(), CHEAP), threading.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(WAITING_MAX):
            tasks.create_task(passwords._in_turn(lambda: gate.wait(5)))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError) as refused:
            await passwords.fits("a", None)
        assert refused.value.retry_after_seconds
        gate.set()
    assert await passwords.fits("a password", await passwords.hashed("a password"))


def test_a_box_without_logins_loads_none_of_it() -> None:
    """The libraries for passwords and tokens are loaded by the first who logs in."""
    code = (
        "import sys; import easyisp_edge.daemon, easyisp_edge.commands.admin\n"
        "found = {'jwt', 'easyisp_edge.services.staff.sign_in'} & sys.modules.keys()\n"
        "print(sorted(found), 'nacl.pwhash' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "['easyisp_edge.services.staff.sign_in'] False"
