"""7.2(1): 公文書による照会. From the lens to the investigator's player with every real part: jailed recorder and mint,
epoch table, store, ledger, the officers' command line, two keys; nothing lost, added or altered on the way.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from firmware.camera.frames import CaptureStamp, MainFrames, SlotMemory
from firmware.custody.keys import keyfile as officers
from firmware.custody.pole_file import PoleFile
from firmware.drivers.encoder import H264Settings
from firmware.drivers.mint_process import MintProcess
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.recorder_process import RecorderProcess, RecorderSettings
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.manifest import Origin
from firmware.footage.parts import Parts
from firmware.footage.run import run
from firmware.footage.settings import FootageSettings, Officers
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import config
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, SystemClock, iso_utc, minute_of
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log
from tests.parts.command_line import CommandLine, custodian_says

WIDTH, HEIGHT, FPS, SECONDS = 320, 180, 2, 75
DOCUMENT = "小刑発第123号"


def shade(number: int) -> int:
    return 20 + number % 100 * 2


async def film(state: Path, settings: FootageSettings, origin: str, clock: SimulatedClock) -> None:
    """Run the real footage house over ``SECONDS`` of grey pictures, each with its own brightness."""
    log = Log(io.StringIO())
    async with AsyncExitStack() as stack:
        keystore, signer = await open_pole_keys(settings, state, origin, log, "bench")
        memory = stack.enter_context(closing(SlotMemory(WIDTH * HEIGHT * 3 // 2, 3)))
        frames = MainFrames(memory, clock)
        h264 = H264Settings(WIDTH, HEIGHT, FPS, 200)
        recorder = RecorderProcess(memory, RecorderSettings("frames", h264, 10), profile="bench", clock=clock, log=log)
        stack.push_async_callback(recorder.close)
        store = Store(state / "footage")
        parts = Parts(
            settings=settings,
            origin=Origin(pole="sp03", camera="cam0", software="0.1.0", config_sha256="0" * 64, keystore="software"),
            recorder=recorder,
            store=store,
            table=EpochTable(store.folder, keystore),
            ledger=Ledger.open(state / "ledger", signer, clock),
            mint=MintProcess(settings.officers, profile="bench", clock=clock, log=log),
            trust=TrustedTime(clock),
            clock=clock,
            lock=PoleLock(state / "lock"),
            log=log,
        )
        house = asyncio.create_task(run(frames, parts))
        while not house.done() and not any(parts.ledger.lines("store.checked")):
            await asyncio.sleep(0.01)
        for number in range(SECONDS * FPS):
            await show(frames, clock, number)
        frames.close()
        await house


async def show(frames: MainFrames, clock: SimulatedClock, number: int) -> None:
    filling = await frames.claim_when_free()
    luma = WIDTH * HEIGHT
    filling.view[:luma] = bytes([shade(number)]) * luma
    filling.view[luma:] = bytes([128]) * (luma // 2)
    pts_90k = clock.boot_ns() * 9 // 100_000
    filling.publish(CaptureStamp(clock.utc_ns(), clock.boot_ns(), clock.stopwatch_ns(), None, pts_90k))
    await frames.drained()
    await clock.advance_to(clock.utc_ns() + NS_PER_SECOND // FPS)


@dataclass(frozen=True)
class Officer:
    key: Path
    words: Path
    recipient: str


def appoint(folder: Path, name: str) -> Officer:
    code, answer = custodian_says("keygen", "--out", str(folder / f"{name}.age"), "--name", name)
    assert code == 0
    words = folder / f"{name}.words"
    words.write_text(answer["passphrase"] + "\n")
    return Officer(folder / f"{name}.age", words, answer["recipient"])


@dataclass(frozen=True)
class Whole:
    """A pole that has filmed, its settings, its officers, the span it filmed."""

    folder: Path
    state: Path
    a: Officer
    b: Officer
    begin: str
    end: str

    @property
    def office(self) -> CommandLine:
        return CommandLine(self.folder, self.folder / "keys")

    def bundle(self, out: Path, document: str = DOCUMENT) -> tuple[int, dict[str, Any]]:
        """A case from its opening to its seal, every step at the command line, and its bundle."""
        case = self.office.until_sealed(self.begin, self.end, document)
        return self.office.do("case", "bundle", case, "--out", str(out))

    def open(self, bundle: Path, out: Path, *, a: Officer, b: Officer) -> tuple[int, dict[str, Any]]:
        return custodian_says(
            *("open", str(bundle), "--out", str(out), "--pole-key", str(self.folder / "pole.vkey")),
            *("--officers", str(self.office.listed())),
            *("--identity-a", str(a.key), "--passphrase-a-file", str(a.words)),
            *("--identity-b", str(b.key), "--passphrase-b-file", str(b.words)),
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("pole")
    a, b = appoint(folder, "group-a"), appoint(folder, "group-b")
    (folder / "state").mkdir()
    (folder / "pole.toml").write_text(
        'pole = "sp03"\nsite = "smartpole.example"\nprofile = "bench"\nstate_directory = "state"\n'
    )
    (folder / "footage.toml").write_text(
        f'keystore = "software"\nwidth = {WIDTH}\nheight = {HEIGHT}\nfps = {FPS}\n'
        "min_free_bytes = 0\nmin_free_percent = 0\n"
        f'[officers]\na = ["{a.recipient}"]\nb = ["{b.recipient}"]\n'
    )
    settings = config.load(folder / "footage.toml", FootageSettings)
    assert settings.officers == Officers(a=(a.recipient,), b=(b.recipient,))
    begin_ns = (minute_of(SystemClock().utc_ns()) - 10) * NS_PER_MINUTE
    origin = config.load(folder / "pole.toml", PoleFile).ledger_origin
    asyncio.run(film(folder / "state", settings, origin, SimulatedClock(begin_ns)))
    code, answer = custodian_says("pole-key", "--config", str(folder))
    assert code == 0
    (folder / "pole.vkey").write_text(answer["pole_key"] + "\n")
    whole = Whole(folder, folder / "state", a, b, iso_utc(begin_ns), iso_utc(begin_ns + 2 * NS_PER_MINUTE))
    whole.office.found()
    return whole


@pytest.fixture(scope="module")
def bundle(whole: Whole) -> Path:
    """The bundle of all that was filmed."""
    path = whole.folder / "bundle.tar"
    code, made = whole.bundle(path)
    assert (code, made["minutes"], made["missing"], made["damaged"]) == (0, 2, [], [])
    return path


def test_every_picture_arrives_in_order_at_its_time(whole: Whole, bundle: Path, tmp_path: Path) -> None:
    code, report = whole.open(bundle, tmp_path / "out", a=whole.a, b=whole.b)
    assert report["approved_by"] == {"manager": "manager", "chief": "chief", "compared": True}
    assert (code, report["chunks"], report["unreadable"], report["moved_90k"]) == (0, 8, [], {})
    assert report["pole_key"]["compared"] is True
    (one,) = report["films"]
    assert one["frames"] == SECONDS * FPS
    with av.open(str(tmp_path / "out" / one["file"])) as source:
        frames = list(source.decode(video=0))
    assert len(frames) == SECONDS * FPS
    times = [float(frame.time or 0) for frame in frames]
    assert times == pytest.approx([number / FPS for number in range(len(frames))], abs=1e-3)
    shades = [float(frame.to_ndarray()[:HEIGHT].mean()) for frame in frames]
    assert all(abs(seen - shade(number)) < 3 for number, seen in enumerate(shades))
    gaps = json.loads((tmp_path / "out" / "gaps.json").read_text())
    assert [gap["reason"] for gap in gaps] == ["stopped"]
    assert gaps[0]["seconds"] == pytest.approx(2 * 60 - SECONDS, abs=1)


def test_stock_age_alone_opens_a_chunk_of_the_bundle(whole: Whole, bundle: Path, tmp_path: Path) -> None:
    """No program of ours is needed: two keys, age and tar, years from now."""
    subprocess.run(["tar", "-xf", bundle], cwd=tmp_path, check=True)
    minute = min((tmp_path / "minutes").iterdir())
    sealed, keys = minute / "identity.age", []
    for officer in (whole.a, whole.b):
        identity = officers.unlock(officer.key, officer.words.read_text)
        keys.append(tmp_path / f"{officer.key.stem}.txt")
        keys[-1].write_text(str(identity[0]) + "\n")
    inner = subprocess.run(["age", "-d", "-i", keys[0], sealed], capture_output=True, check=True).stdout
    (tmp_path / "inner.age").write_bytes(inner)
    identity_text = subprocess.run(
        ["age", "-d", "-i", keys[1], "inner.age"], cwd=tmp_path, capture_output=True, check=True
    )
    (tmp_path / "minute.txt").write_bytes(identity_text.stdout)
    film = subprocess.run(
        ["age", "-d", "-i", tmp_path / "minute.txt", minute / "0.age"], capture_output=True, check=True
    )
    with av.open(io.BytesIO(film.stdout), "r") as source:
        assert len(list(source.decode(video=0))) == 10 * FPS


def test_without_a_document_nothing_leaves(whole: Whole, tmp_path: Path) -> None:
    office = whole.office
    office.must("case", "open")
    case = office.must("case", "list")["cases"][-1]["case"]
    paper = ("--document", "なし", "--date", "2026-11-20", "--authority", "x", "--instrument", "warrant")
    error = office.refused("case", "document", case, *paper)
    assert (error["code"], error["clause"]) == ("E-CASE-DOCUMENT", "7.2(1)2")
    error = office.refused("case", "bundle", case, "--out", str(tmp_path / "bundle.tar"))
    assert (error["code"], error["clause"]) == ("E-CASE-ORDER", "7.2(1)")
    assert not list(tmp_path.iterdir())


def test_stock_ssh_keygen_alone_judges_an_approval(whole: Whole, bundle: Path, tmp_path: Path) -> None:
    """Years from now: the act, its signature, the officer's key, and OpenSSH."""
    subprocess.run(["tar", "-xf", bundle], cwd=tmp_path, check=True)
    approvals = [path for path in (tmp_path / "case/acts").glob("*.act") if b"case.approved" in path.read_bytes()]
    assert len(approvals) == 2
    for act in approvals:
        account = json.loads(act.read_bytes())["by"]
        judged = subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-f", whole.office.listed(), "-I", account, "-n", "act.smartpole",
             "-s", act.with_suffix(f".{account}.sig")],
            input=act.read_bytes(), capture_output=True, check=False,
        )  # fmt: skip
        assert judged.returncode == 0, judged.stderr
        dossier = (tmp_path / "case/dossier.json").read_bytes()
        assert json.loads(act.read_bytes())["dossier"] == hashlib.sha256(dossier).hexdigest()


def test_one_officer_twice_is_not_two_officers(whole: Whole, bundle: Path, tmp_path: Path) -> None:
    code, answer = whole.open(bundle, tmp_path / "out", a=whole.a, b=whole.a)
    assert (code, answer["error"]["code"]) == (1, "E-KEY-GROUP-B")
    assert not (tmp_path / "out").exists()


def test_the_ledger_verifies_and_knows_of_every_bundle(whole: Whole, tmp_path: Path) -> None:
    before = (whole.state / "ledger" / "lines.jsonl").read_text().count('"event":"case.bundled"')
    code, made = whole.bundle(tmp_path / "bundle.tar")
    assert code == 0
    lines = (whole.state / "ledger" / "lines.jsonl").read_text().splitlines()
    assert sum('"event":"case.bundled"' in line for line in lines) == before + 1
    assert json.loads(lines[made["ledger_line"]])["event"] == "case.bundled"
    key = ("--pole-key", str(whole.folder / "pole.vkey"))
    for command in (["verify-ledger"], ["audit", "verify"]):
        code, verdict = custodian_says(*command, "--state", str(whole.state), *key)
        assert (code, verdict["lines"], verdict["signatures"]) == (0, len(lines), True)


def test_no_plaintext_and_no_private_half_on_the_pole(whole: Whole) -> None:
    for path in whole.state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(trace in content for trace in (b"AGE-SECRET-KEY", b"ftyp", b"moov", b"avcC", b"x264")), path
