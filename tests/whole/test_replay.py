"""``pole replay``: what a newcomer gets from a good video, from a second one, and from every sort of bad one."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from tests.whole.bench import (
    FPS,
    MODELS,
    START_MINUTE,
    complaint,
    events,
    film,
    gaps,
    ledger,
    officers,
    replay,
    say,
    spans,
    status,
    write_settings,
)
from tests.whole.conftest import LONG_SECONDS


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def minutes_told(state: Path) -> list[int]:
    """Return every minute that some record speaks of, in the order told; attribute tiles are another reckoning."""
    told = [(first, last) for kind, first, last in spans(state) if kind in ("minute", "gap")]
    return [minute for first, last in told for minute in range(first, last + 1)]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, long_film: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    a, b = officers()
    config = write_settings(
        tmp_path_factory.mktemp("good") / "config",
        flow={"attributes": ["sex", "age"], "window_minutes": 1},
        a=str(a.to_public()),
        b=str(b.to_public()),
    )
    return config, replay(long_film, config)


def test_the_summary_says_all_that_is_promised(good: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    config, done = good
    assert done.returncode == 0, done.stderr
    said = summary(done)
    assert said["ended"] == "end of the video"
    assert LONG_SECONDS - 1 <= said["video_seconds"] <= LONG_SECONDS
    assert said["slices"] + said["slices_lost"] == LONG_SECONDS
    assert set(said["records"]) == {"published", "suppressed", "gap", "attribute_tiles"}
    assert 0 < said["residence_ms"]["p50"] <= said["residence_ms"]["p99_9"] <= said["residence_ms"]["max"]
    assert said["slice_ms"]["interpreter"] > 0
    assert 0 < said["slice_ms"]["p50"] <= said["slice_ms"]["p99_9"]
    assert said["wipe_failures"] == 0
    assert {name: size > 10 for name, size in said["peak_rss_mib"].items()} == {
        "pole": True, "counter": True, "recorder": True,
    }  # fmt: skip
    stored = sorted((config / "state" / "footage").glob("*/*.age"))
    assert said["footage"] == {
        "chunks": len(stored),
        "ciphertext_bytes": sum(path.stat().st_size for path in stored),
        "minutes": 3,
        "gaps": 1,
        "chunks_lost": 0,
    }
    assert len(stored) == LONG_SECONDS / 10


def test_records_and_gaps_account_for_every_minute_once(good: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    config, done = good
    records = summary(done)["records"]
    told = minutes_told(config / "state")
    assert told == [START_MINUTE, START_MINUTE + 1, START_MINUTE + 2]
    assert records["published"] + records["suppressed"] + records["gap"] == len(told)
    assert records["gap"] == 1, "the last minute was seen for ten seconds only"


def test_the_status_tells_the_same_and_is_old_because_the_video_is(
    good: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    config, done = good
    said, state = summary(done), config / "state"
    as_object = say("status", "--state", state, "--json")
    tree = json.loads(as_object.stdout)
    assert (as_object.returncode, tree["stale"]) == (1, True)
    assert tree["counters"]["slices"] == said["slices"]
    assert tree["counters"]["chunks"] == said["footage"]["chunks"]
    assert [tree[system]["state"] for system in ("flow", "footage", "city")] == ["stopped", "stopped", "off"]


def test_a_second_replay_goes_on_and_never_tells_a_minute_twice(
    good: tuple[Path, subprocess.CompletedProcess[str]], long_film: Path
) -> None:
    config, _ = good
    state = config / "state"
    before = spans(state)
    chunks = len(list((state / "footage").glob("*/*.age")))
    again = replay(long_film, config, "--minutes", "0.3")
    assert again.returncode == 0, again.stderr
    assert summary(again)["records"] == {"published": 0, "suppressed": 0, "gap": 0, "attribute_tiles": 0}
    assert spans(state) == before, "these minutes were told by the first replay"
    assert len(list((state / "footage").glob("*/*.age"))) == chunks + 2
    later = iso_utc((START_MINUTE + 5) * NS_PER_MINUTE)
    gone_on = say("replay", long_film, "--config", config, "--state", state, "--start", later, "--minutes", "1.1")
    assert gone_on.returncode == 0, gone_on.stderr
    assert minutes_told(state) == list(range(START_MINUTE, START_MINUTE + 7)), "in order, none twice, none left out"
    assert len(ledger(state, "ledger.started")) == 1


def test_without_settings_it_is_a_bench_that_says_so_and_opens_for_nobody(tmp_path: Path) -> None:
    short = film(tmp_path / "short.mp4", 8)
    state = tmp_path / "state"
    done = say("replay", short, "--state", state, "--start", "2026-11-23T09:00:00Z")
    assert done.returncode == 0, done.stderr
    assert any(line["event"] == "keystore.software" for line in events(done))
    assert status(state)["profile"] == "bench"
    assert summary(done)["slices"] == 8
    assert MODELS.exists()


# ---- bad videos


def damaged(video: Path, path: Path, *, first: float, last: float) -> Path:
    """Write ``video`` with the bytes between two fractions of it overwritten by noise."""
    data = bytearray(video.read_bytes())
    begin, end = int(len(data) * first), int(len(data) * last)
    data[begin:end] = random.Random(3).randbytes(end - begin)  # noqa: S311 - noise
    path.write_bytes(data)
    return path


def test_half_a_video_is_counted_to_its_end_and_the_rest_is_a_gap(
    tmp_path: Path, config: Path, long_film: Path
) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(long_film.read_bytes()[: long_film.stat().st_size * 6 // 10])
    done = replay(half, config)
    said, state = summary(done), config / "state"
    assert (done.returncode, said["ended"]) == (1, "E-CAMERA-VIDEO")
    read = next(line["frames"] for line in events(done) if line["event"] == "camera.video")
    assert 0 < read < LONG_SECONDS * FPS
    assert abs(said["slices"] + said["slices_lost"] - read / FPS) <= 1
    assert (said["records"]["published"] + said["records"]["suppressed"], said["records"]["gap"]) == (1, 1)
    assert minutes_told(state) == [START_MINUTE, START_MINUTE + 1]
    assert said["footage"]["chunks"] >= read / FPS / 10
    assert status(state)["flow"]["state"] == status(state)["footage"]["state"]


def test_a_hole_in_the_middle_is_a_gap_and_the_rest_is_counted(tmp_path: Path, config: Path, long_film: Path) -> None:
    broken = damaged(long_film, tmp_path / "broken.mp4", first=0.5, last=0.6)
    done = replay(broken, config)
    said, state = summary(done), config / "state"
    video = next(line for line in events(done) if line["event"] == "camera.video")
    assert (done.returncode, said["frames_skipped"]) == (1, video["skipped"])
    assert "could not be read" in complaint(done)
    assert video["skipped"] > 0
    assert video["frames"] + video["skipped"] == LONG_SECONDS * FPS
    assert said["video_seconds"] > LONG_SECONDS - 2, "what comes after the hole is seen"
    assert said["slices"] < LONG_SECONDS
    assert minutes_told(state) == [START_MINUTE, START_MINUTE + 1, START_MINUTE + 2]
    assert "camera_fault" in [line["reason"] for line in ledger(state, "recording.gap")]


def test_a_minute_that_is_all_hole_is_told_as_the_cameras_fault(tmp_path: Path, config: Path, long_film: Path) -> None:
    broken = damaged(long_film, tmp_path / "broken.mp4", first=0.47, last=0.92)
    done = replay(broken, config)
    assert minutes_told(config / "state") == [START_MINUTE, START_MINUTE + 1, START_MINUTE + 2], done.stderr
    assert gaps(config / "state")[0]["spReason"] == "camera_fault"


@pytest.mark.parametrize("kind", ["no video", "no file"])
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, config: Path, kind: str) -> None:
    path = tmp_path / "street.mp4"
    if kind == "no video":
        path.write_text("a shopping list\n")
    done = replay(path, config)
    said = summary(done)
    assert (done.returncode, said["ended"], said["slices"]) == (1, "E-CAMERA-VIDEO", 0)
    assert "Traceback" not in done.stderr
