"""The parent's side of the jail: one answer a question, an end for whoever is late, a pause for whoever keeps dying."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.jail import INTERPRETER, Jailed, Keeper, Limits, spawn
from firmware.drivers.jail_door import WALLS
from firmware.ground.clock import NS_PER_SECOND, SystemClock
from firmware.ground.errors import JailError
from firmware.ground.log import Log
from tests.attacks.hostile_start import ROOT, start
from tests.canary import literal, scan_process


@pytest.fixture
async def child() -> AsyncIterator[Jailed]:
    jailed = await start("echo_child")
    yield jailed
    await jailed.close()


def is_gone(pid: int) -> bool:
    """Gone and reaped: a zombie would still answer."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


async def test_a_child_answers_behind_all_its_walls(child: Jailed) -> None:
    assert await child.ask(b"one", 5) == b"one"
    assert set(child.report.applied) == set(WALLS)
    assert child.alive


async def test_descriptors_travel_only_as_far_as_there_is_room_for_them() -> None:
    child = await start("echo_child", limits=Limits(incoming_descriptors=2))
    assert await child.ask(b"two", 5, [0, 0]) == b"two.."
    await child.close()
    child = await start("echo_child", limits=Limits(incoming_descriptors=1))
    with pytest.raises(JailError, match="E-JAIL-DEATH"):
        await child.ask(b"two", 5, [0, 0])


async def test_who_is_late_is_killed_and_reaped(child: Jailed) -> None:
    with pytest.raises(JailError, match="E-JAIL-DEADLINE"):
        await child.ask(b"hang", 0.2)
    assert is_gone(child.pid)
    with pytest.raises(JailError, match="E-JAIL-DEATH"):
        await child.ask(b"one", 5)


@pytest.mark.parametrize(
    ("message", "how"), [(b"die", "exit code 7"), (b"crash", "signal 11"), (b"raise", "exit code 1")]
)
async def test_a_death_is_told_as_a_number(child: Jailed, message: bytes, how: str) -> None:
    with pytest.raises(JailError, match=f"E-JAIL-DEATH.*{how}"):
        await child.ask(message, 5)
    assert is_gone(child.pid)


async def test_a_child_killed_by_others_is_noticed(child: Jailed) -> None:
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(JailError, match=r"E-JAIL-DEATH.*signal 9"):
        await child.ask(b"one", 5)


async def test_what_a_shut_child_says_reaches_nobody(child: Jailed, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(JailError) as caught:
        await child.ask(b"raise", 5)
    assert "face" not in str(caught.value.facts())
    assert capfd.readouterr() == ("", "")


async def test_who_speaks_unasked_is_killed(child: Jailed) -> None:
    assert await child.ask(b"babble", 5) == b"one"
    await asyncio.sleep(0.05)
    with pytest.raises(JailError, match=r"E-JAIL-ANSWER.*unasked|E-JAIL-ANSWER.*without being asked"):
        await child.ask(b"one", 5)
    assert is_gone(child.pid)


async def test_too_long_an_answer_is_none(child: Jailed) -> None:
    with pytest.raises(JailError, match="E-JAIL-ANSWER"):
        await child.ask(b"long", 5)
    assert is_gone(child.pid)


async def test_a_question_given_up_takes_the_child_with_it(child: Jailed) -> None:
    asking = asyncio.create_task(child.ask(b"hang", 60))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert is_gone(child.pid)


async def test_one_question_at_a_time_and_a_kill_ends_it(child: Jailed) -> None:
    asking = asyncio.create_task(child.ask(b"hang", 60))
    await asyncio.sleep(0.05)
    with pytest.raises(RuntimeError, match="one question"):
        await child.ask(b"one", 5)
    await child.close()
    with pytest.raises(JailError, match="E-JAIL-DEATH"):
        await asking


async def test_a_request_has_a_length(child: Jailed) -> None:
    for message in (b"", bytes(20_000)):
        with pytest.raises(ValueError, match="bytes"):
            await child.ask(message, 5)
    assert await child.ask(b"one", 5) == b"one"


async def test_a_child_leaves_by_itself_when_asked_to(child: Jailed) -> None:
    await child.close()
    await child.close()
    assert child._process.returncode == 0


async def test_a_crash_at_the_start_can_be_explained() -> None:
    with pytest.raises(JailError, match=r"E-JAIL-START.*ValueError: as told"):
        await start("echo_child", {"start": "crash"})
    with pytest.raises(JailError, match=r"E-JAIL-START.*No module named"):
        await start("no_child_at_all")


async def test_a_door_that_is_never_shut() -> None:
    with pytest.raises(JailError, match=r"E-JAIL-START.*not shut within 0.5 s"):
        await start("echo_child", {"start": "hang"}, limits=Limits(start_seconds=0.5))


async def test_a_report_must_name_every_wall() -> None:
    with pytest.raises(JailError, match=r"E-JAIL-START.*every wall"):
        await start("echo_child", {"start": "report nonsense"})


async def test_a_missing_wall_is_said_on_a_bench_and_refused_on_a_pole() -> None:
    said = io.StringIO()
    facts: dict[str, Any] = {"argument": {"start": "miss a wall"}, "lend": {}, "limits": Limits()}
    more: dict[str, Any] = {"clock": SystemClock(), "log": Log(said), "interpreter": _interpreter()}
    child = await spawn("tests.attacks.echo_child", profile="bench", **facts, **more)
    await child.close()
    assert json.loads(said.getvalue().splitlines()[0]) == {
        "event": "jail.wall_missing", "module": "tests.attacks.echo_child", "wall": WALLS[0],
    }  # fmt: skip
    with pytest.raises(JailError, match=f"E-JAIL-WALL.*{WALLS[0]}"):
        await spawn("tests.attacks.echo_child", profile="pole", **facts, **more)


@pytest.mark.parametrize(
    ("how", "missing"), [("without libseccomp", "system_calls"), ("with two threads", "one_thread")]
)
async def test_a_door_that_cannot_be_shut_whole_says_so(how: str, missing: str) -> None:
    child = await start("echo_child", {"start": how})
    assert child.report.missing == (missing,)
    assert set(child.report.applied) == set(WALLS) - {missing}
    await child.close()
    with pytest.raises(JailError, match=f"E-JAIL-WALL.*{missing}"):
        await start("echo_child", {"start": how}, profile="pole")


def _interpreter() -> tuple[str, ...]:
    from tests.attacks.hostile_start import INTERPRETER as FOR_TESTS

    return FOR_TESTS


def test_children_of_the_product_see_neither_environment_nor_working_folder() -> None:
    assert INTERPRETER[1:] == ("-P", "-s", "-B")


async def test_a_child_whose_parent_is_not_its_parent_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware.drivers.jail.os.getpid", lambda: 1)  # as if the parent had died during the exec
    with pytest.raises(JailError, match="E-JAIL-START"):
        await start("echo_child")


def test_a_child_dies_with_its_parent_even_when_it_hangs() -> None:
    program = (
        "import asyncio\n"
        "from tests.attacks.hostile_start import start\n"
        "async def main():\n"
        "    child = await start('echo_child')\n"
        "    asking = asyncio.create_task(child.ask(b'hang', 600))\n"
        "    await asyncio.sleep(0.3)\n"  # else the child would see its socket end before it hangs
        "    print(child.pid, flush=True)\n"
        "    await asking\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    readable, _, _ = select.select([child], [], [], 10)
    os.close(child)
    assert readable, "the child outlived its parent"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look into a child that is not dumpable")
async def test_freed_memory_is_overwritten(child: Jailed) -> None:
    from tests.attacks.echo_child import DISGUISE, ROW

    await child.ask(b"trace", 5)
    row = bytes(value ^ DISGUISE for value in ROW)
    scan = scan_process(child.pid, [literal("trace", row[40:72])])
    assert scan.hits == []
    assert scan_process(child.pid, [literal("in disguise", ROW[40:72])]).hits, "else the scan proves nothing"


# ---- Keeper


class Hands(SystemClock):
    """A stopwatch moved by hand."""

    def __init__(self) -> None:
        self.now_ns = 0

    def stopwatch_ns(self) -> int:
        return self.now_ns


class Stub:
    """A child as far as the Keeper sees one."""

    def __init__(self) -> None:
        self.alive = True
        self.killed = 0

    async def kill(self) -> None:
        self.alive = False
        self.killed += 1

    async def close(self) -> None:
        self.alive = False


class World:
    def __init__(self) -> None:
        self.clock = Hands()
        self.children: list[Stub] = []
        self.failing = False

    async def start(self) -> Any:
        if self.failing:
            raise JailError("E-JAIL-START", "as told", where="test", todo="nothing")
        self.children.append(Stub())
        return self.children[-1]

    def keeper(self, **more: Any) -> Keeper:
        return Keeper(self.start, clock=self.clock, log=Log(io.StringIO()), **more)


async def pause_of(world: World, keeper: Keeper) -> float:
    """Return how long the keeper refuses, in seconds, by moving the clock in tenths."""
    waited = 0.0
    while True:
        try:
            await keeper.child()
        except JailError as error:
            assert error.code == "E-JAIL-RESTING"
            waited += 0.1
            world.clock.now_ns += NS_PER_SECOND // 10
        else:
            return round(waited, 1)


async def test_replacement_backs_off_and_forgets() -> None:
    world = World()
    keeper = world.keeper(first_pause_seconds=1, longest_pause_seconds=5, steady_seconds=60)
    assert await keeper.child() is await keeper.child()
    pauses = []
    for _ in range(5):
        world.children[-1].alive = False
        pauses.append(await pause_of(world, keeper))
    assert pauses == [0.0, 1.0, 2.0, 4.0, 5.0]
    assert keeper.restarts == 5
    assert all(child.killed for child in world.children[:-1]), "each dead child is reaped"
    world.clock.now_ns += 60 * NS_PER_SECOND
    world.children[-1].alive = False
    assert await pause_of(world, keeper) == 0.0
    await keeper.close()
    assert not world.children[-1].alive


async def test_a_start_that_fails_counts_as_a_death() -> None:
    world = World()
    world.failing = True
    keeper = world.keeper()
    for code in ("E-JAIL-START", "E-JAIL-START", "E-JAIL-RESTING"):
        with pytest.raises(JailError, match=code):
            await keeper.child()
    world.failing = False
    world.clock.now_ns += NS_PER_SECOND
    await keeper.child()
    await keeper.close()


async def test_each_new_child_is_introduced_first() -> None:
    world = World()
    met: list[Any] = []

    async def meet(child: Any) -> None:
        met.append(child)

    keeper = world.keeper(on_ready=meet)
    await keeper.child()
    await keeper.child()
    world.children[-1].alive = False
    await keeper.child()
    assert met == world.children
    assert len(met) == 2
    await keeper.close()


async def test_a_child_that_fails_its_introduction_is_not_kept() -> None:
    world = World()

    async def refuse(_: Any) -> None:
        raise JailError("E-JAIL-ANSWER", "as told", where="test", todo="nothing")

    keeper = world.keeper(on_ready=refuse)
    with pytest.raises(JailError, match="E-JAIL-ANSWER"):
        await keeper.child()
    assert [child.killed for child in world.children] == [1]
    await keeper.close()


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**8))
def test_limits_leave_room_for_exactly_what_is_lent(lent: int, incoming: int, file_bytes: int) -> None:
    resources = Limits(incoming_descriptors=incoming, file_bytes=file_bytes).as_resources(lent)
    assert resources["NOFILE"] == 4 + lent + incoming
    assert resources["FSIZE"] == file_bytes
    assert resources["CORE"] == resources["NPROC"] == resources["MEMLOCK"] == 0
