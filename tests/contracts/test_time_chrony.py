"""The network's time source against real chronyd daemons, and chronyc's answers that must never count as proof."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.chrony import ChronyTime, judge
from firmware.footage.clock_files import followed_line
from firmware.footage.ports import NetworkTime
from firmware.footage.run import boot
from firmware.footage.sweep import Eraser
from firmware.footage.timekeeping import Timekeeper
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.parts.chronyd import Chronyd, time_servers
from tests.parts.footage_parts import MemoryKeystore, make_parts

TRACKING = "7F000001,127.0.0.1,2,1795617997.388827877,-0.000002752,0.000000107,0.0000009,0.034,0.006,0.974,{},{},0.5,{}"
SERVER = "^,{},127.0.0.1,1,-1,377,{},0.000000211,0.000000318,0.000004861"
SECOND = "^,+,127.0.0.2,1,-1,377,4,0.000000211,0.000000318,0.000004861"
GNSS = "#,{},GPS,0,4,377,1,0.000000211,0.000000318,0.000004861"
NTS = "127.0.0.1,NTS,1,15,256,4,0,0,8,100"
PLAIN = "127.0.0.2,-,0,0,0,4294967295,0,0,0,0"


def whole(
    *,
    delay: str = "0.004000000",
    dispersion: str = "0.001500000",
    leap: str = "Normal",
    state: str = "*",
    age: str = "3",
    rest: tuple[str, ...] = (NTS,),
) -> str:
    return "\n".join([TRACKING.format(delay, dispersion, leap), SERVER.format(state, age), *rest]) + "\n"


async def first_answer(source: ChronyTime, log: io.StringIO, code: str, *, seconds: float = 20) -> NetworkTime | None:
    """Ask until the reason is ``code``; return the answer that came with it."""
    end = time.monotonic() + seconds
    while True:
        answer = await source.read()
        if log.getvalue() and json.loads(log.getvalue().splitlines()[-1])["code"] == code:
            return answer
        assert time.monotonic() < end, log.getvalue()
        await asyncio.sleep(0.1)


def reader(daemon: Chronyd) -> tuple[ChronyTime, io.StringIO]:
    log = io.StringIO()
    return ChronyTime(Log(log), daemon.control), log


async def test_nts_proves_and_a_server_that_is_gone_stops_proving() -> None:
    async with time_servers() as servers:
        source, log = reader(await servers.ask("nts", "authselectmode require"))
        answer = await first_answer(source, log, "ok")
        assert answer is not None
        assert 1 <= answer.uncertainty_ms < 10_000  # few samples yet
        assert answer.sample_age_seconds <= 2
        for _ in range(200):
            if (answer := await source.read()) and answer.uncertainty_ms <= 50:
                break
            await asyncio.sleep(0.1)
        assert answer is not None
        assert answer.uncertainty_ms <= 50
        assert [json.loads(line)["code"] for line in log.getvalue().splitlines()][-1] == "ok"
        lines = len(log.getvalue().splitlines())
        assert await source.read() is not None
        assert len(log.getvalue().splitlines()) == lines  # told once
        await servers.daemons[0].stop()
        assert await first_answer(source, log, "not_synchronised", seconds=60) is None


async def test_a_pole_whose_chronyd_asks_by_nts_is_proven_by_it_and_told_to_the_custodian(tmp_path: Path) -> None:
    """The whole chain on this machine's own clock: two daemons, driver, house, ledger, the custodian's program."""
    async with time_servers() as servers:
        source, _ = reader(await servers.ask("nts", "authselectmode require"))
        clock = SystemClock()
        parts = make_parts(tmp_path, clock, MemoryKeystore(), time_source=source)  # type: ignore[arg-type]  # real time
        eraser = Eraser(parts)
        keeper = Timekeeper(parts, eraser)
        await boot(parts, eraser)
        await keeper.begin()
        assert not followed_line(clock, parts.store.folder).settled
        end = time.monotonic() + 30
        while not followed_line(clock, parts.store.folder).settled:
            assert time.monotonic() < end
            await keeper.look()
            await asyncio.sleep(0.2)
        state = followed_line(clock, parts.store.folder).state
        assert (state.source, state.proven) == ("network", True)
        assert 0 <= state.uncertainty_ms < 10_000
        assert [line.fields["source"] for line in parts.ledger.lines("clock.proven")] == ["network"]


@pytest.mark.parametrize(
    ("how", "code"), [("", "not_authenticated"), ("key 2", "not_authenticated"), ("key 1", "ok")], ids=str
)
async def test_only_a_server_that_proves_who_it_is_proves_the_time(how: str, code: str) -> None:
    async with time_servers() as servers:
        source, log = reader(await servers.ask(how))
        answer = await first_answer(source, log, code)
        assert (answer is not None) == (code == "ok")


async def test_a_server_with_another_city_s_certificate_never_proves() -> None:
    async with time_servers() as servers:
        source, log = reader(await servers.ask("nts", trusted=servers.stranger))
        for _ in range(30):
            assert await source.read() is None
            await asyncio.sleep(0.1)
        assert json.loads(log.getvalue().splitlines()[-1])["code"] == "not_synchronised"


async def test_a_daemon_that_follows_its_own_crystal_proves_nothing() -> None:
    async with time_servers() as servers:
        source, log = reader(servers.daemons[0])
        assert await first_answer(source, log, "not_synchronised") is None


async def test_no_tool_no_daemon_no_answer_are_told_apart_and_never_raise(tmp_path: Path) -> None:
    slow, loud = tmp_path / "slow", tmp_path / "loud"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    loud.write_text("#!/bin/sh\necho 501 Not authorised\n")
    for program in (slow, loud):
        program.chmod(0o755)
    for program, code in (
        ("no-such-chronyc", "E-CLOCK-TOOL"),
        ("chronyc", "E-CLOCK-DAEMON"),
        (str(loud), "E-CLOCK-ANSWER"),
        (str(slow), "E-CLOCK-LATE"),
    ):
        log = io.StringIO()
        began = time.monotonic()
        assert await ChronyTime(Log(log), tmp_path / "none.sock", program).read() is None
        assert json.loads(log.getvalue())["code"] == code
        assert time.monotonic() - began < 10


async def test_a_slow_daemon_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert await ChronyTime(Log(io.StringIO()), tmp_path / "none", str(slow)).read() is None
    ticking.cancel()
    assert ticks > 50


def test_the_board_s_configuration_is_one_that_chronyd_takes_and_that_asks_for_proof() -> None:
    path = Path(__file__).parents[2] / "board/common/chrony/chrony.conf"
    program = shutil.which("chronyd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert program
    told = subprocess.run([program, "-p", "-U", "-f", str(path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    servers = [line for line in lines if line.startswith(("server", "pool", "peer", "refclock"))]
    assert len(servers) >= 3
    assert all(" nts " in line for line in servers)
    assert {"authselectmode require", "port 0", "cmdport 0"} <= {line.split("#")[0].strip() for line in lines}


def test_root_distance_is_the_uncertainty() -> None:
    assert judge(whole()) == NetworkTime(4, 3)
    assert judge(whole(delay="2.0", dispersion="0.5", age="70")) == NetworkTime(1501, 70)


def test_everything_combined_must_prove_itself() -> None:
    assert judge(whole(rest=(SECOND, NTS, PLAIN))) == "not_authenticated"
    assert judge(whole(rest=(SECOND.replace("+", "-"), NTS, PLAIN))) == NetworkTime(4, 3)
    assert judge(whole(rest=(GNSS.format("+"), NTS))) == "not_authenticated"
    assert judge(whole(rest=())) == "not_authenticated"


def test_what_is_not_synchronised_or_not_an_answer_proves_nothing() -> None:
    for changes in ({"leap": "Not synchronised"}, {"state": "?"}, {"state": "+"}):
        assert judge(whole(**changes)) == "not_synchronised"  # type: ignore[arg-type]  # strings all
    assert judge(whole().replace("7F000001", "7F7F0101")) == "not_synchronised"
    for report in ("", "506 Cannot talk to daemon\n", whole(age="-3"), whole(delay="nan"), whole(dispersion="-1")):
        assert judge(report) == "E-CLOCK-ANSWER"


@given(st.text(alphabet="0123456789.,^*+#-NTSK\n", max_size=400))
def test_noise_never_proves(noise: str) -> None:
    assert isinstance(judge(noise), str)


@given(st.integers(0, 13), st.text(alphabet="0123456789.-abcinf", max_size=12))
def test_one_changed_column_gives_a_number_or_a_reason(column: int, text: str) -> None:
    first, *rest = whole().splitlines()
    pieces = first.split(",")
    pieces[column] = text
    answer = judge("\n".join([",".join(pieces), *rest]))
    assert isinstance(answer, str) or answer.uncertainty_ms >= 0
