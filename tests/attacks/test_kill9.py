"""kill -9 of any process at any moment: nothing corrupt is ever accepted, and no more is lost than is said.

A whole pole runs in fast time; ``pole``, ``counter`` or ``recorder`` is killed at a random moment; what lies on the
disk is judged with the officers' keys as it lies there, and again after the next start. Both keystores. (2, 7.1(1),
7.3(1))
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import signal
import sqlite3
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import pyrage
import pytest

from firmware.drivers.pole_keys import open_pole_keys
from firmware.footage.settings import Officers
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, minute_of
from firmware.ground.ledger import verify
from firmware.ground.log import Log
from tests.parts.swtpm import swtpm
from tests.parts.victim import settings_of

FIRST_NS = 29_923_200 * NS_PER_MINUTE
CHUNK_NS = 10 * NS_PER_SECOND
FRAME_NS = NS_PER_SECOND // 2
CYCLES, LONG_CYCLES = 4, 150
TARGETS = ("pole", "recorder", "counter")


@dataclass
class Figures:
    """What was seen; printed with ``-s``, and by ``tools/check --long``."""

    cycles: int = 0
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    chunks_judged: int = 0
    worst_footage_loss_s: float = 0.0
    worst_minutes_loss: int = 0


class Bench:
    """One state directory, its officers, and the poles that die on it."""

    def __init__(self, folder: Path, keystore: str, tcti: str, seed: int) -> None:
        self.state = folder / "state"
        self.delivered = folder / "delivered"
        self.log = folder / "log"
        self.keystore, self.tcti = keystore, tcti
        self.random = random.Random(seed)  # noqa: S311 - which moment to kill at is no secret
        self.a, self.b = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
        self.officers = Officers(a=(str(self.a.to_public()),), b=(str(self.b.to_public()),))
        self.start_ns = FIRST_NS
        self.frames: dict[Path, int] = {}
        self.figures = Figures()

    @contextlib.asynccontextmanager
    async def pole(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a pole; kill it at the end if it still lives."""
        self.delivered.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.parts.victim", self.state, self.delivered, str(self.start_ns)),
                *(self.keystore, self.tcti, self.officers.a[0], self.officers.b[0]),
                cwd=Path(__file__).parents[2],
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    def newest_frame_ns(self) -> int:
        """Return when the newest frame was delivered; 0 before the first."""
        try:
            return int(struct.unpack("<Q", self.delivered.read_bytes())[0])
        except (FileNotFoundError, struct.error):
            return 0

    async def filming(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the pole films."""
        async with asyncio.timeout(120):
            while self.newest_frame_ns() < self.start_ns + 30 * NS_PER_SECOND:
                await asyncio.sleep(0.1)
                assert process.returncode is None, self.log.read_text()[-2000:]

    async def cycle(self) -> None:
        """Run, kill, judge what lies there, and set the time of the next run."""
        target = TARGETS[self.figures.cycles % len(TARGETS)]
        async with self.pole() as process:
            if self.figures.cycles % 2:  # half of the cycles end while it starts, half while it films
                await self.filming(process)
            await asyncio.sleep(self.random.uniform(0.0, 4.0))
            if target != "pole":
                victim = child_of(process.pid, target)
                if victim is not None:
                    os.kill(victim, signal.SIGKILL)
                    self.figures.kills[target] += 1
                await asyncio.sleep(self.random.uniform(0.2, 2.0))
                assert process.returncode is None, f"the pole fell with its {target}: {self.log.read_text()[-800:]}"
        self.figures.kills["pole"] += 1
        self.figures.cycles += 1
        before = set(self.frames)
        await self.judge()
        newest_ns = self.newest_frame_ns()
        if newest_ns:
            stored = sum(frames for path, frames in self.frames.items() if path not in before)
            self.judge_losses(newest_ns, target, stored)
            self.start_ns = newest_ns + self.random.randrange(2, 90) * NS_PER_SECOND

    async def judge(self) -> None:
        """Play every chunk that has a key; compare every manifest, the ledger and the outbox with themselves."""
        folder = self.state / "footage"
        if not folder.is_dir():
            return
        settings = settings_of(self.state, self.keystore, self.tcti, self.officers)
        keystore, _ = await open_pole_keys(
            settings.footage, self.state, "smartpole.example/sp09", Log(io.StringIO()), "bench"
        )
        table, store = EpochTable(folder, keystore), Store(folder)
        await table.load(MinuteNumber(0), repair=False)
        for epoch in store.recorded():
            sealed = (await table.sealed_identities([epoch])).get(epoch)
            manifest = store.manifest(epoch)
            listed = {chunk.sequence: chunk for chunk in manifest.chunks} if manifest else {}
            for sequence in store.sequences(epoch):
                if sequence in listed:
                    assert store.hash_chunk(epoch, sequence) == listed[sequence].sha256
                if sealed is not None:
                    self.play(store.chunk_path(epoch, sequence), sealed)
            assert set(listed) <= set(store.sequences(epoch)) or sealed is None
        if (self.state / "ledger" / "lines.jsonl").exists():
            verify(self.state / "ledger", [])
        outbox = self.state / "city" / "outbox.sqlite"
        if outbox.exists():
            with contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def play(self, path: Path, sealed: bytes) -> None:
        """Open one chunk with both officers' keys and decode all of it."""
        if path in self.frames:
            return
        inner = pyrage.decrypt(pyrage.decrypt(sealed, [self.a]), [self.b])
        identity = pyrage.x25519.Identity.from_str(inner.decode().strip())
        film = pyrage.decrypt(path.read_bytes(), [identity])
        with av.open(io.BytesIO(film)) as container:
            self.frames[path] = sum(1 for _ in container.decode(video=0))
        assert self.frames[path] > 0
        self.figures.chunks_judged += 1

    def judge_losses(self, newest_ns: int, target: str, stored: int) -> None:
        """Check the bound: the chunk being sealed, the one being filled, one minute of people flow."""
        ran_ns = newest_ns - self.start_ns
        if target == "pole":
            lost_ns = ran_ns + FRAME_NS - stored * FRAME_NS
            self.figures.worst_footage_loss_s = max(self.figures.worst_footage_loss_s, lost_ns / NS_PER_SECOND)
            assert lost_ns <= 2 * CHUNK_NS + FRAME_NS
        if ran_ns > 3 * NS_PER_MINUTE:
            with contextlib.closing(sqlite3.connect(self.state / "city" / "outbox.sqlite")) as database:
                newest = int(database.execute("SELECT max(last_minute) FROM waiting").fetchone()[0])
            lost = minute_of(newest_ns) - 1 - newest
            self.figures.worst_minutes_loss = max(self.figures.worst_minutes_loss, lost)
            assert lost <= 1


def child_of(pid: int, program: str) -> int | None:
    """Return the process id of the pole's ``program`` child, None while there is none."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        for child in children.read_text().split():
            if f"firmware.{program}" in Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "):
                return int(child)
    return None


async def kill_often(bench: Bench, cycles: int) -> Figures:
    """Kill ``cycles`` times; then let one run go well and look whether it said what was lost."""
    for _ in range(cycles):
        await bench.cycle()
    async with bench.pole() as process:
        await bench.filming(process)
        process.send_signal(signal.SIGINT)
        await process.wait()
    await bench.judge()
    events = [json.loads(line)["event"] for line in (bench.state / "ledger" / "lines.jsonl").read_text().splitlines()]
    assert events.count("recording.gap") >= 1
    assert "store.checked" in events
    return bench.figures


@pytest.mark.parametrize("keystore", ["software", "tpm2"])
async def test_killed_at_random(keystore: str, tmp_path: Path) -> None:
    await killed(keystore, tmp_path, CYCLES, seed=11)


@pytest.mark.long
@pytest.mark.parametrize("keystore", ["software", "tpm2"])
async def test_killed_300_times(keystore: str, tmp_path: Path) -> None:
    await killed(keystore, tmp_path, LONG_CYCLES, seed=2026)


async def killed(keystore: str, folder: Path, cycles: int, seed: int) -> None:
    if keystore == "tpm2":
        async with swtpm() as tpm:
            figures = await kill_often(Bench(folder, keystore, tpm.tcti, seed), cycles)
    else:
        figures = await kill_often(Bench(folder, keystore, "device:/dev/null", seed), cycles)
    print(f"\n{keystore}: {figures}")
    assert figures.cycles == cycles
