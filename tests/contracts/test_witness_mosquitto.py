"""A pole, a real Mosquitto with mutual TLS, and the witness's program as another organisation runs it."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from firmware.city.outbox import Outbox
from firmware.city.settings import BrokerSettings
from firmware.city.topics import Kind
from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import note
from firmware.ground.clock import SystemClock
from firmware.ground.log import Log
from tests.parts.mosquitto import Mosquitto, broker
from tests.parts.publishing import Report, publisher
from tests.parts.witnessed_pole import LedgerPole
from tools.contracts import PLACE

__all__ = ["broker"]

ROOT = Path(__file__).parents[2]
GOOD, ALARM, OPEN = 0, 3, 4


class LedgerReport(Report):
    """Says what its pole's ledger says."""

    def __init__(self, pole: LedgerPole) -> None:
        self.pole = pole

    def checkpoint(self) -> str | None:
        return self.pole.ledger.last_signed()

    def growth(self) -> str | None:
        return self.pole.ledger.last_growth()


@asynccontextmanager
async def online(tmp_path: Path, settings: BrokerSettings, pole: LedgerPole) -> AsyncIterator[None]:
    """Let the pole's real publisher say what stands; end once the broker has the newest checkpoint."""
    async with Outbox.opened(tmp_path / "outbox.sqlite", PLACE, SystemClock(), Log(io.StringIO())) as outbox:
        house = publisher(outbox, settings, report=LedgerReport(pole))
        task = asyncio.create_task(house.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def said(broker: Mosquitto, pole: LedgerPole) -> None:
    """Return once the broker retains the pole's newest checkpoint and growth."""
    wanted = {(pole.ledger.last_signed() or "").encode(), (pole.ledger.last_growth() or "").encode()}
    async with asyncio.timeout(20), broker.client() as client:
        await client.subscribe("jp/+/sp/v1/+/audit/#", qos=1)
        async for message in client.messages:
            wanted.discard(bytes(message.payload))  # type: ignore[arg-type]  # bytes here
            if not wanted:
                return


class Program:
    """``python -m tools.witness`` in a folder of its own, with a client certificate of its own."""

    def __init__(self, folder: Path, broker: Mosquitto, pole: LedgerPole) -> None:
        self.folder = folder
        (folder / "poles").mkdir(parents=True)
        (folder / "poles" / "sp03.vkey").write_text(pole.verifier() + "\n")
        self.vkey = self.run("keygen", "--out", str(folder / "key"), "--name", "witness.example/one").stdout.strip()
        settings = broker.settings("witness")
        self.kept = [
            "--archive",
            str(folder / "archive"),
            "--key",
            str(folder / "key"),
            "--poles",
            str(folder / "poles"),
        ]
        self.link = [
            *("--host", "localhost", "--port", str(broker.port), "--ca", settings.ca_file),
            *("--certificate", settings.certificate_file, "--certificate-key", settings.key_file),
        ]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tools.witness", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def watch(self, seconds: float = 1.5) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(self.run, "watch", *self.kept, *self.link, "--seconds", str(seconds))

    @property
    def pole_folder(self) -> Path:
        return self.folder / "archive" / PLACE.ledger_origin.replace("/", "_")

    def cosigned(self) -> list[str]:
        return [path.read_text("utf-8") for path in sorted(self.pole_folder.glob("1/accepted/*.note"))]


async def test_from_the_pole_over_mutual_tls_to_a_cosigned_archive(tmp_path: Path, broker: Mosquitto) -> None:
    pole = LedgerPole(tmp_path / "pole")
    program = Program(tmp_path / "witness", broker, pole)
    key = WitnessKey.parse(program.vkey, where="")
    await pole.say(5)
    async with online(tmp_path, broker.settings(), pole):
        await said(broker, pole)
    first = await program.watch()
    assert (first.returncode, first.stderr) == (GOOD, ""), first
    for _ in range(4):  # it was away for these; the newest alone stands at the broker
        await pole.say(3)
    async with online(tmp_path, broker.settings(), pole):
        await said(broker, pole)
        again = await program.watch()
    assert again.returncode == GOOD, again
    sizes = [note.parse_checkpoint(note.open_note(text, [key], where=""), where="").size for text in program.cosigned()]
    assert sizes == [5, 17]
    assert all(note.open_note(text, [pole.key, key], where="") for text in program.cosigned())
    status = await asyncio.to_thread(program.run, "status", *program.kept)
    assert (status.returncode, status.stdout.split()[0]) == (GOOD, "good")

    pole.rewrite(3, epoch=1)  # with disk and key of the pole
    await pole.say(2)
    async with online(tmp_path, broker.settings(), pole):
        await said(broker, pole)
        caught = await program.watch()
    assert caught.returncode == ALARM
    assert "WITNESS ALARM" in caught.stderr
    assert len(program.cosigned()) == 2
    findings = {json.loads(row)["finding"] for row in (program.pole_folder / "log.jsonl").read_text().splitlines()}
    assert findings == {"first", "grew", "forked", "waiting"}
    later = await asyncio.to_thread(program.run, "status", *program.kept)
    assert (later.returncode, later.stdout.split()[0]) == (ALARM, "alarm")


async def test_a_witness_that_was_away_gets_in_order_what_came_meanwhile(tmp_path: Path, broker: Mosquitto) -> None:
    """The session outlives the connection: more than the 32 checkpoints of one proof pass, none is missed."""
    pole = LedgerPole(tmp_path / "pole")
    program = Program(tmp_path / "witness", broker, pole)
    topic = PLACE.topics.name(Kind.GROWTH)
    async with broker.client(PLACE.pole) as client:
        await client.publish(topic, (await pole.say(2))[1].encode(), qos=1, retain=True)
        assert (await program.watch()).returncode == GOOD
        for _ in range(40):
            await client.publish(topic, (await pole.say(1))[1].encode(), qos=1, retain=True)
    assert (await program.watch(2.5)).returncode == GOOD
    assert len(program.cosigned()) == 41


async def test_a_witness_can_only_read_and_only_the_audits(broker: Mosquitto) -> None:
    """What the broker's access list must say for a witness, as tools/witness/README.md asks for it."""
    async with broker.client(PLACE.pole) as pole, broker.client("witness") as witness:
        await witness.subscribe("jp/#", qos=1)
        await pole.publish(PLACE.topics.name(Kind.STATUS), b"s", qos=1)
        await pole.publish(PLACE.topics.name(Kind.CHECKPOINT), b"c", qos=1)
        async with asyncio.timeout(10):
            message = await anext(aiter(witness.messages))
        assert message.payload == b"c"


@pytest.mark.parametrize("missing", ["--archive", "--key", "--poles"])
def test_wrong_usage_is_said(tmp_path: Path, missing: str) -> None:
    words = {"--archive": str(tmp_path), "--key": str(tmp_path / "key"), "--poles": str(tmp_path)}
    words.pop(missing)
    flat = [piece for pair in words.items() for piece in pair]
    done = subprocess.run(
        [sys.executable, "-m", "tools.witness", "status", *flat], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 2
