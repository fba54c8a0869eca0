"""The last steps of a case as an investigator sees them: sealed file, stock age, players, both judges, elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firmware import custodian
from firmware.custody.keys import keyfile
from tests.parts.chromium import browser_page, verdict
from tests.parts.small_case import Handed, hand_over
from tests.parts.small_pole import FPS, FRAMES

RUNNER = CliRunner()
PLAY = """async () => {
    const video = document.querySelector('video');
    video.muted = true;
    await video.play();
    await new Promise(done => setTimeout(done, 700));
    const played = video.currentTime;
    video.currentTime = 245.2;  // past a gap of a minute
    await new Promise(done => { video.onseeked = done; });
    const quality = video.getVideoPlaybackQuality();
    return [video.duration, video.videoWidth, video.videoHeight, played, video.currentTime, quality.totalVideoFrames];
}"""


@pytest.fixture
async def handed(tmp_path: Path) -> Handed:
    (tmp_path / "city").mkdir()
    return await hand_over(tmp_path / "city")


def test_from_the_desk_to_the_investigator(handed: Handed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city, police = tmp_path / "city", tmp_path / "police"
    police.mkdir()
    officers = {"a": [handed.pole.officers.a], "b": [handed.pole.officers.b]}
    monkeypatch.setattr(keyfile, "unlock", lambda path, _ask: officers[path.stem])
    (city / "pole.vkey").write_text(handed.pole.public_key().text() + "\n")
    words = [
        "package", str(handed.bundle), "--identity-a", "a.age", "--identity-b", "b.age", "--by", "handler-01", "--json",
        "--pole-key", str(city / "pole.vkey"), "--recipient", str(handed.recipient.to_public()),
        "--out", str(city / "package.age"), "--sign", str(handed.pole.office.keyfile("handler")),
    ]  # fmt: skip
    handed.pole.office.key("handler")  # made now
    said = RUNNER.invoke(custodian.app, words)
    assert said.exit_code == 0, said.output
    made = json.loads(said.stdout)
    assert (made["films"], made["gaps"], made["sealed_to"]) == (1, 2, str(handed.recipient.to_public()))

    (city / "package.age").rename(police / "package.age")  # the medium
    (police / "our.key").write_text(f"{handed.recipient}\n")
    opening = "age -d -i our.key package.age | tar x"
    subprocess.run(["sh", "-ec", opening], cwd=police, check=True)
    (folder,) = (path for path in police.iterdir() if path.is_dir())
    (film,) = (folder / "video").glob("*.mp4")

    probe = ["ffprobe", "-v", "warning", "-of", "json", "-count_packets", "-show_streams", str(film)]
    done = subprocess.run(probe, capture_output=True, text=True, check=True)
    (stream,) = json.loads(done.stdout)["streams"]
    assert (done.stderr, stream["codec_name"], stream["nb_read_packets"]) == ("", "h264", str(23 * FRAMES))
    track = ["ffprobe", "-v", "error", "-of", "json", "-show_packets", str(film.with_suffix(".srt"))]
    cues = json.loads(subprocess.run(track, capture_output=True, check=True).stdout)["packets"]
    assert len(cues) == 23 * 10 + 2  # a second each, and both gaps

    judge = [sys.executable, "-I", "-S", str(folder / "verify.py"), "--expect", made["manifest_sha256"]]
    done = subprocess.run(judge, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, "UNCHANGED" in done.stdout, "signed by SHA256:" in done.stdout) == (0, True, True)

    with browser_page() as page:
        page.goto((folder / "verify.html").as_uri())
        assert verdict(page, folder) == ("good", [])
        page.goto(film.as_uri())
        duration, width, height, played, sought, frames = page.evaluate(PLAY)
    assert (duration, width, height, sought) == (pytest.approx(300, abs=1 / FPS), 96, 64, pytest.approx(245.2, abs=0.1))
    assert played > 0
    assert frames > 0

    film.write_bytes(film.read_bytes()[:-1])
    done = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert (done.returncode, f"× video/{film.name}: " in done.stdout) == (1, True)


def test_refusals_in_words(handed: Handed, tmp_path: Path) -> None:
    base = ["package", str(handed.bundle), "--identity-a", "missing.age", "--by", "handler-01"]
    assert RUNNER.invoke(custodian.app, base).stderr.startswith("E-CASE-OUT: give --out or --tree")
    both = RUNNER.invoke(custodian.app, [*base, "--out", "x.age", "--tree", "x"])
    assert (both.exit_code, both.stderr.split(":")[0]) == (1, "E-CASE-OUT")
    other = [*base, "--out", str(tmp_path / "p.age"), "--recipient", "age1other"]
    assert RUNNER.invoke(custodian.app, other).stderr.startswith("E-CASE-RECIPIENT: the case was approved for another")
    assert not list(tmp_path.glob("p.age*"))
