"""``pole check-config``: every wrong setting has a code, a file, a key, its clause and a remedy; nothing is started."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from firmware.pole import main
from firmware.upkeep.bench import NOBODY_A, NOBODY_B
from tests.whole.bench import ROOT, officers, say, write_settings

SHIPPED = ROOT / "board" / "common" / "config"
A, B = (str(identity.to_public()) for identity in officers())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped example made a real pole's: profile, officers, notice."""
    folder = tmp_path / "config"
    folder.mkdir()
    for path in SHIPPED.iterdir():
        text = path.read_text().replace(NOBODY_A, A).replace(NOBODY_B, B).replace("0" * 64, "5" * 64)
        (folder / path.name).write_text(text.replace('profile = "bench"', 'profile = "pole"'))
    return folder


def change(config: Path, file: str, known: str, other: str) -> None:
    path = config / file
    assert known in path.read_text()
    path.write_text(path.read_text().replace(known, other))


def check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the program's own ``main`` here: a new interpreter for each wrong key would only cost time."""
    monkeypatch.setattr(sys, "argv", ["pole", "check-config", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_shipped_example_passes_and_its_officers_are_marked() -> None:
    done = say("check-config", SHIPPED)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"ok sha256:[0-9a-f]{64} profile=bench pole=sp03\n", done.stdout)
    text = (SHIPPED / "footage.toml").read_text()
    assert "EXAMPLES THAT NOBODY HOLDS" in text
    assert "REPLACE both" in text


def test_made_a_real_poles_it_passes_too(config: Path) -> None:
    done = say("check-config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "profile=pole" in done.stdout
    assert sorted(path.name for path in config.iterdir()) == ["flow.toml", "footage.toml", "pole.toml"]


@pytest.mark.parametrize(
    ("file", "known", "other", "code", "key", "clause"),
    [
        # the example's own placeholders
        ("footage.toml", A, NOBODY_A, "E-CONFIG-LAW", "officers.a", "7.3(1)1"),
        ("footage.toml", B, NOBODY_B, "E-CONFIG-LAW", "officers.b", "7.3(1)1"),
        ("footage.toml", f'["{B}"]', f'["{B}", "{NOBODY_A}"]', "E-CONFIG-LAW", "officers.b", "7.3(1)1"),
        ("pole.toml", "5" * 64, "0" * 64, "E-CONFIG-LAW", "notice_sha256", "6.1(2)"),
        # out of law
        ("pole.toml", 'lamp = "pole:red"', 'lamp = ""', "E-CONFIG-LAW", "lamp", "6.1(2)"),
        ("pole.toml", 'ca_file = "city-ca.pem"', "", "E-CONFIG-LAW", "broker.ca_file", "6.3(1)"),
        ("pole.toml", '"/var/lib/smartpole"', '"state"', "E-CONFIG-LAW", "state_directory", "7.3(1)3"),
        ("flow.toml", "k_total = 3", "k_total = 2", "E-CONFIG-LAW", "k_total", "6.2(2)"),
        ("flow.toml", "deadline_ms = 1000", "deadline_ms = 1001", "E-CONFIG-LAW", "deadline_ms", "6.2(1)"),
        ("flow.toml", "slice_period_seconds = 1.0", "slice_period_seconds = 0.1", "E-CONFIG-LAW",
         "slice_period_seconds", "6.1(3)"),
        ("footage.toml", "retention_hours = 336", "retention_hours = 337", "E-CONFIG-LAW", "retention_hours", "7.1(3)"),
        ("footage.toml", "chunk_seconds = 10", "chunk_seconds = 7", "E-CONFIG-LAW", "chunk_seconds", "7.1(3)"),
        ("footage.toml", 'keystore = "tpm2"', 'keystore = "software"', "E-CONFIG-LAW", "keystore", "7.3(1)1"),
        ("footage.toml", f'b = ["{B}"]', "b = []", "E-CONFIG-LAW", "officers.b", "7.3(1)1"),
        ("footage.toml", f'b = ["{B}"]', f'b = ["{A}"]', "E-CONFIG-LAW", "officers", "7.3(1)1"),
        # unknown keys
        ("pole.toml", 'pole = "sp03"', 'pole = "sp03"\nowner = "x"', "E-CONFIG-KEY", "top level", None),
        ("pole.toml", "port = 8883", 'port = 8883\npassword = "x"', "E-CONFIG-KEY", "broker", None),
        ("flow.toml", "k_total = 3", "k_totl = 3", "E-CONFIG-KEY", "top level", None),
        ("footage.toml", "fps = 15", "fps = 15\nretention_days = 14", "E-CONFIG-KEY", "top level", None),
        # wrong types and units
        ("pole.toml", "port = 8883", 'port = "8883"', "E-CONFIG-KEY", "broker.port", None),
        ("pole.toml", "longitude = 139.1559", "longitude = 1391559", "E-CONFIG-KEY", "location.longitude", None),
        ("flow.toml", "k_total = 3", "k_total = 3.0", "E-CONFIG-KEY", "k_total", None),
        ("flow.toml", "deadline_ms = 1000", 'deadline_ms = "1 s"', "E-CONFIG-KEY", "deadline_ms", None),
        ("footage.toml", "retention_hours = 336", 'retention_hours = "14d"', "E-CONFIG-KEY", "retention_hours", None),
        ("footage.toml", A, "age1short", "E-CONFIG-KEY", "officers.a[0]", None),
        # broken TOML
        ("pole.toml", "port = 8883", "port = ", "E-CONFIG-TOML", None, None),
        ("flow.toml", "k_total = 3", "k_total == 3", "E-CONFIG-TOML", None, None),
        ("footage.toml", "[officers]", "[officers", "E-CONFIG-TOML", None, None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    config: Path, file: str, known: str, other: str, code: str, key: str | None, clause: str | None,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    change(config, file, known, other)
    assert check(config, monkeypatch) == 2
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.strip()
    assert "\n" not in line
    assert line.startswith(f"{code}: ")
    assert f"({config / file}" + (f": {key})" if key else ")") in line
    assert (f"[guideline {clause}]" in line) if clause else ("[guideline" not in line)
    assert line.partition(" -> ")[2].strip(), "what to do"


@pytest.mark.parametrize("file", ["pole.toml", "flow.toml", "footage.toml"])
def test_a_missing_file_is_no_default(
    config: Path, file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / file).unlink()
    assert check(config, monkeypatch) == 2
    assert capsys.readouterr().err.startswith(f"E-CONFIG-MISSING: cannot read: No such file or directory ({config}/")


@pytest.mark.parametrize("command", ["run", "replay"])
def test_nothing_is_started_on_settings_that_are_refused(tmp_path: Path, command: str) -> None:
    config = write_settings(tmp_path / "config", footage={"retention_hours": 400}, a=A, b=B)
    state = config / "state"
    words: dict[str, tuple[object, ...]] = {
        "run": ("run", "--config", config),
        "replay": ("replay", config / "v.mp4", "--config", config, "--state", state, "--start", "2026-11-23T09:00:00Z"),
    }
    done = say(*words[command])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("E-CONFIG-LAW: 400 h is longer than 14 days")
    assert "[guideline 7.1(3)]" in done.stderr
    assert not state.exists()


def test_a_pole_films_with_its_own_camera_only(config: Path) -> None:
    done = say("run", "--config", config, "--video", config / "street.mp4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("E-CONFIG-CAMERA: ")


@pytest.mark.parametrize("start", ["2026-11-23T09:00:00", "yesterday", "1763888400"])
def test_a_time_without_its_zone_is_refused(tmp_path: Path, start: str) -> None:
    config = write_settings(tmp_path / "config", a=A, b=B)
    done = say("replay", tmp_path / "v.mp4", "--config", config, "--state", tmp_path / "state", "--start", start)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("E-CONFIG-TIME: not a time with its zone (--start)")
    assert not (tmp_path / "state").exists()
