"""Every refusal and every fact an officer meets exists in Japanese: the sources themselves are read to find them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firmware import custodian
from firmware.custodian.errors_ja import ERRORS_JA
from firmware.custodian.japanese import in_japanese, refusal_in_japanese
from firmware.custodian.labels_ja import LABELS, WORDS
from firmware.custody.office.authority import ACTS
from firmware.custody.office.case_stages import NEXT, Stage
from firmware.custody.office.fields import Basis, Instrument, RecipientKind, Role
from firmware.footage.manifest import GapReason
from firmware.ground.errors import CaseError

ROOT = Path(__file__).parents[3] / "firmware"
HEARD_BY_OFFICERS = ("custodian", "custody", "footage", "ground")
DRIVERS = ("keystore_software", "mp4", "pole_keys", "signer_software", "signer_tpm", "ssh_keygen", "tpm")
CODE = re.compile(r"E-(?:CASE|CLOCK|CONFIG|KEY|LEDGER|OFFICE|STORE)(?:-[A-Z0-9]+)+")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in HEARD_BY_OFFICERS:
        for path in (ROOT / folder).rglob("*.py"):
            yield path, ast.parse(path.read_text("utf-8"))
    for name in DRIVERS:
        for path in (ROOT / "drivers").glob(f"{name}*.py"):
            yield path, ast.parse(path.read_text("utf-8"))


def raised_codes() -> set[str]:
    return {
        node.value
        for path, tree in sources()
        if path.name != "errors_ja.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }


def fact_keys() -> set[str]:
    """Every key of a mapping that a command's module, or what it hands on, writes out."""
    found = set[str]()
    for path, tree in sources():
        if path.parent.name != "custodian" or path.name.endswith("_ja.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                found |= {
                    key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
                }
    return found - {"error"}


def test_every_refusal_exists_in_japanese() -> None:
    assert raised_codes() - set(ERRORS_JA) == set()
    assert {"E-KEY-GROUP-A", "E-KEY-GROUP-B"} <= set(ERRORS_JA)


def test_no_sentence_stands_for_a_code_that_is_gone() -> None:
    fitted = {f"E-KEY-GROUP-{group}" for group in "AB"}  # made of a group's letter
    assert set(ERRORS_JA) - raised_codes() - fitted == set()


def test_every_fact_has_a_label() -> None:
    assert fact_keys() - set(LABELS) == set()


def test_every_code_an_officer_reads_has_a_word() -> None:
    codes = {*ACTS, *NEXT.values(), *Stage, *Basis, *Instrument, *RecipientKind, *Role, *GapReason}
    assert {str(code) for code in codes} - set(WORDS) == set()


@pytest.mark.parametrize("texts", [ERRORS_JA, LABELS, WORDS])
def test_japanese_is_japanese(texts: dict[str, str]) -> None:
    assert [key for key, text in texts.items() if not JAPANESE.search(text)] == []


def test_a_refusal_keeps_code_place_and_clause() -> None:
    text = refusal_in_japanese(CaseError("E-CASE-GONE", "erased", where="sp03", todo="nothing", clause="7.1(3)"))
    assert text.startswith("E-CASE-GONE: ")
    assert all(piece in text for piece in ("7.1(3)", "sp03", "erased -> nothing", ERRORS_JA["E-CASE-GONE"]))


def test_facts_within_facts() -> None:
    text = in_japanese({"pole": "sp03", "missing": [{"first_epoch": 1, "reason": "erased"}], "damaged": []})
    assert text.splitlines() == [
        f"{LABELS['pole']}: sp03", f"{LABELS['missing']}:", f"  - {LABELS['first_epoch']}: 1",
        f"    {LABELS['reason']}: 消去済", f"{LABELS['damaged']}: なし",
    ]  # fmt: skip


def test_the_language_is_chosen_by_option_or_terminal(tmp_path: Path) -> None:
    words = ["check", str(tmp_path / "none.tar")]
    runner = CliRunner()
    japanese = ERRORS_JA["E-CASE-BUNDLE"]
    assert japanese in runner.invoke(custodian.app, ["--lang", "ja", *words]).stderr
    assert japanese in runner.invoke(custodian.app, words, env={"LANG": "ja_JP.UTF-8"}).stderr
    assert japanese not in runner.invoke(custodian.app, ["--lang", "en", *words], env={"LANG": "ja_JP.UTF-8"}).stderr
    assert japanese not in runner.invoke(custodian.app, words, env={"LANG": "C"}).stderr
