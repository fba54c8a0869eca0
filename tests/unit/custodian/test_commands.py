"""What the officers' command line says, and with which exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firmware import custodian
from firmware.city.payload import Place
from firmware.custodian import pole_folder
from firmware.custody.bundle.span import Span
from firmware.custody.pole_file import PoleFile
from firmware.ground.clock import MinuteNumber
from tests.parts.small_pole import FIRST, SmallPole

RUNNER = CliRunner()


def say(*words: str, typed: str = "") -> Result:
    return RUNNER.invoke(custodian.app, list(words), input=typed)


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    pole = await SmallPole.begin(tmp_path / "state")
    for epoch in range(FIRST, FIRST + 3):
        pole.record(epoch, chunks=1)
    await pole.ledger.checkpoint()
    return pole


@pytest.fixture
async def bundle(pole: SmallPole, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, Span(FIRST, MinuteNumber(FIRST + 2)), document="2026-1")
    return path


@pytest.fixture
def vkey(pole: SmallPole, tmp_path: Path) -> Path:
    path = tmp_path / "pole.vkey"
    path.write_text(pole.public_key().text() + "\n")
    return path


def test_a_passphrase_never_goes_to_what_is_no_terminal(tmp_path: Path) -> None:
    said = say("keygen", "--out", str(tmp_path / "a.age"))
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("E-KEY-TERMINAL: ")
    assert not list(tmp_path.iterdir())


def test_an_existing_key_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.age").write_text("somebody's key")
    said = say("keygen", "--out", str(tmp_path / "a.age"), "--json")
    assert (said.exit_code, json.loads(said.stdout)["error"]["code"]) == (1, "E-KEY-EXISTS")
    assert (tmp_path / "a.age").read_text() == "somebody's key"


def test_on_a_pole_no_key_is_made_and_nothing_opened(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "pole.toml").touch()
    monkeypatch.setattr(pole_folder, "CONFIG", tmp_path / "etc")
    for words in (
        ["keygen", "--out", str(tmp_path / "a.age")],
        ["open", str(bundle), "--identity-a", "a.age", "--out", str(tmp_path / "out")],
    ):
        said = say(*words, "--json")
        assert (said.exit_code, json.loads(said.stdout)["error"]["code"]) == (1, "E-CASE-HERE")


def test_check_judges_a_bundle_without_any_key(bundle: Path, vkey: Path, pole: SmallPole) -> None:
    said = say("check", str(bundle))
    assert said.exit_code == 0
    assert "whole and unchanged" in said.stdout
    assert pole.public_key().fingerprint() in said.stdout
    assert "compare it with the office's list" in said.stdout
    assert "is the one you gave" in say("check", str(bundle), "--pole-key", str(vkey)).stdout
    content = bytearray(bundle.read_bytes())
    content[len(content) // 3] ^= 1
    bundle.write_bytes(content)
    said = say("check", str(bundle))
    assert said.exit_code == 1
    assert re.match(r"E-(CASE|LEDGER)-[A-Z]+: .* \[guideline 7\.3\(1\)3\] -> ", said.stderr)
    assert "Traceback" not in said.stderr


def test_a_spoilt_bundle_is_refused_before_a_passphrase_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:5000])
    said = say("open", str(bundle), "--identity-a", "missing.age", "--out", str(tmp_path / "out"))
    assert (said.exit_code, said.stderr.split(":")[0]) == (1, "E-CASE-HALF")


def test_the_words_are_asked_for_and_not_echoed(bundle: Path, tmp_path: Path) -> None:
    key = tmp_path / "a.age"
    key.write_bytes(b"age-encryption.org/v1\n-> scrypt x")
    said = say("open", str(bundle), "--identity-a", str(key), "--out", str(tmp_path / "out"), typed="kasane tomiru\n")
    assert said.exit_code == 1
    assert "Nine words of group A's key a.age" in said.output
    assert "E-KEY-WORDS: 2 words, 9 expected" in said.output
    assert "tomiru" not in said.output


def test_a_changed_ledger_is_refused_and_the_line_named(pole: SmallPole, vkey: Path) -> None:
    state = ("--state", str(pole.state))
    assert "signatures NOT judged" in say("verify-ledger", *state).stdout
    said = say("verify-ledger", *state, "--pole-key", str(vkey))
    assert (said.exit_code, "4 lines, whole" in said.stdout) == (0, True)
    path = pole.state / "ledger" / "lines.jsonl"
    path.write_bytes(path.read_bytes().replace(str(FIRST + 1).encode(), str(FIRST + 8).encode()))
    for command in (["verify-ledger"], ["audit", "verify"]):
        said = say(*command, *state)
        assert said.exit_code == 1
        assert said.stderr.startswith("E-LEDGER-EDITED: line n=2 ")
        assert "lines.jsonl: line 3" in said.stderr


def test_a_checkpoint_kept_elsewhere_convicts_a_rewritten_ledger(pole: SmallPole, vkey: Path, tmp_path: Path) -> None:
    kept = tmp_path / "witnessed"
    kept.write_text((pole.state / "ledger" / "checkpoint").read_text("utf-8"), "utf-8")
    for path in (pole.state / "ledger").iterdir():
        path.unlink()
    words = ("verify-ledger", "--state", str(pole.state), "--pole-key", str(vkey), "--checkpoint", str(kept))
    said = say(*words)
    assert (said.exit_code, said.stderr.split(":")[0]) == (1, "E-LEDGER-CUT")
    kept.write_text(kept.read_text("utf-8").replace("\n4\n", "\n0\n"), "utf-8")
    assert say(*words).stderr.startswith("E-LEDGER-SIGNATURE")


def test_no_ledger_is_no_whole_ledger(tmp_path: Path) -> None:
    said = say("verify-ledger", "--state", str(tmp_path))
    assert (said.exit_code, said.stderr.split(":")[0]) == (1, "E-LEDGER-NONE")


def test_a_disk_that_fails_is_said_in_words(pole: SmallPole) -> None:
    path = pole.state / "ledger" / "lines.jsonl"
    path.unlink()
    path.mkdir()
    said = say("verify-ledger", "--state", str(pole.state))
    assert (said.exit_code, said.stderr.startswith("E-CASE-DISK: Is a directory")) == (1, True)


def test_wrong_settings_end_with_two(tmp_path: Path) -> None:
    said = say("case", "bundle", "2026-0001", "--out", str(tmp_path / "b.tar"), "--config", str(tmp_path))
    assert (said.exit_code, said.stderr.split(":")[0]) == (2, "E-CONFIG-MISSING")
    assert say("case", "bundle").exit_code == 2
    assert say("no-such-command").exit_code == 2


def test_times_that_could_be_read_in_two_ways_are_refused(tmp_path: Path) -> None:
    span = ("--span", "2026-11-22 09:00/2026-11-22T09:01:00Z")
    act = ("--as", "manager", "--pole", "sp03", "--draw-up", str(tmp_path / "a.act"))
    said = say("case", "scope", "2026-0001", *span, "--to", "odawara-ps", *act)
    assert (said.exit_code, said.stderr.split(":")[0]) == (1, "E-CASE-SPAN")
    assert not list(tmp_path.iterdir())


def test_the_custodian_signs_under_the_name_the_city_knows() -> None:
    place = Place(
        municipality="142069",
        pole="sp03",
        camera="cam0",
        longitude=139.1,
        latitude=35.2,
        site="smartpole.example",
        notice="sha256:" + "0" * 64,
        config="sha256:" + "0" * 64,
    )
    assert PoleFile(pole="sp03", site="smartpole.example").ledger_origin == place.ledger_origin
