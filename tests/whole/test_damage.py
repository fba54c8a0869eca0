"""A pole on a bad disk: full, or damaged when it boots again. What is stored stays whole; what is lost is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from tests.whole.bench import START_MINUTE, events, gaps, ledger, replay, say, spans, status


def later(video: Path, config: Path, minutes: int) -> subprocess.CompletedProcess[str]:
    start = iso_utc((START_MINUTE + minutes) * NS_PER_MINUTE)
    return say("replay", video, "--config", config, "--state", config / "state", "--start", start, "--minutes", "0.5")


def flip(path: Path, at: float) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x55
    path.write_bytes(data)


def test_what_was_damaged_meanwhile_is_named_and_the_rest_goes_on(config: Path, long_film: Path) -> None:
    state = config / "state"
    assert replay(long_film, config).returncode == 0
    chunk = state / "footage" / str(START_MINUTE // 60) / f"{START_MINUTE + 2}-0.age"
    whole = {path: path.read_bytes() for path in chunk.parent.glob("*.age") if path != chunk}
    flip(chunk, 0.5)
    outbox = state / "city" / "outbox.sqlite"
    outbox.write_bytes(b"not a database at all" * 100)
    again = later(long_film, config, 5)
    assert again.returncode == 0, again.stderr
    heard = {line["event"] for line in events(again)}
    assert "city.outbox_isolated" in heard
    assert [line["epoch"] for line in ledger(state, "chunk.damaged")] == [START_MINUTE + 2]
    assert {path: path.read_bytes() for path in whole} == whole
    assert spans(state), "people flow tells its minutes into a fresh outbox"
    assert json.loads(again.stdout)["footage"]["chunks"] == 3


def test_a_damaged_ledger_is_succeeded_and_the_pole_goes_on(config: Path, long_film: Path) -> None:
    state = config / "state"
    assert replay(long_film, config, "--minutes", "0.5").returncode == 0
    flip(state / "ledger" / "lines.jsonl", 0.3)
    again = later(long_film, config, 5)
    assert again.returncode == 0, again.stderr
    assert "ledger.succeeded" in {line["event"] for line in events(again)}
    assert json.loads(again.stdout)["footage"]["chunks"] == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB; these tests are run by root, as the board's image is built."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_recording_loudly_and_people_flow_goes_on(
    config: Path, small_disk: Path, long_film: Path
) -> None:
    state = small_disk / "state"
    done = replay(long_film, config, "--minutes", "0.2", state=state)
    assert done.returncode == 0, done.stderr
    stored = {path: path.read_bytes() for path in (state / "footage").glob("*/*.age")}
    assert stored
    free = small_disk / "filler"
    with pytest.raises(OSError), free.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    with free.open("r+b") as file:
        file.truncate(free.stat().st_size - 600_000)
    full = say("replay", long_film, "--config", config, "--state", state, "--start", "2026-11-23T09:05:00Z")
    assert "Traceback" not in full.stderr
    codes = {line.get("code") for line in events(full)}
    assert "E-STORE-FULL" in codes
    assert status(state)["footage"]["state"] in ("failed", "degraded")
    assert status(state)["footage"]["reason"] == "E-STORE-FULL"
    assert json.loads(full.stdout)["slices"] > 100
    assert {path: path.read_bytes() for path in stored} == stored
    assert gaps(state)
