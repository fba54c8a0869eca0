"""Documents are true: paths exist, commands run as written, every clause has its test or its reason."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCUMENTS = sorted(
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
)

TOP_LEVEL = {
    "firmware",
    "models",
    "board",
    "tests",
    "tools",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.lock",
}

LATER = {
    "0": "preamble: carried by all the others",
    "3": "scope: no software",
    "8.1": "free Wi-Fi: no portal in this version",
    "8.2": "free Wi-Fi: no portal in this version",
    "8.3": "free Wi-Fi: no portal in this version",
    "7.3(2)": "notice: not in this version; the ledger's closed list keeps footage unsearchable by person",
}
CLAUSES = [
    "0", "1", "2", "3", "4.1", "4.2(1)", "4.2(2)", "4.2(3)", "5.1", "5.2", "6.1(1)", "6.1(2)", "6.1(3)", "6.1(4)",
    "6.2(1)", "6.2(2)", "6.2(3)", "6.3", "7.1(1)", "7.1(2)", "7.1(3)", "7.1(4)",
    "7.2", "7.3(1)", "7.3(2)", "8.1", "8.2", "8.3",
]  # fmt: skip


def test_the_top_level_is_the_agreed_one() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    tops = {name.split("/")[0] for name in listed if name}
    assert {top for top in tops if not top.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_and_paths_exist(document: Path) -> None:
    text = (ROOT / document).read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    paths = re.findall(r"`((?:firmware|models|board|tests|tools)/[A-Za-z0-9_./-]*)`", text)
    missing = [link for link in links if not (ROOT / document).parent.joinpath(link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def played_attacks() -> dict[str, list[str]]:
    """Return the tests that each line of THREATS' table of attacks names."""
    table = (ROOT / "firmware/THREATS.md").read_text("utf-8").partition("## Attack by attack")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and "`tests/" in line]
    return {row[1].strip(): re.findall(r"`(tests/[^`]+)`", row[2]) for row in rows}


@pytest.mark.parametrize(("attack", "named"), sorted(played_attacks().items()))
def test_each_attack_names_a_test_that_is_there(attack: str, named: list[str]) -> None:
    assert named, attack
    for test in named:
        path, _, function = test.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in there, test


def test_no_attack_of_the_acceptance_is_left_out() -> None:
    said = " ".join(played_attacks())
    for word in (
        "stolen disk", "stolen pole", "custodian alone", "dishonest single officer", "edited ledger",
        "replayed old epoch table", "replaced TPM", "torn NV write", "spoofed clock", "forged chunk",
        "silently added officer recipient", "recipient after expiry", "forged approval", "swapped scope after approval",
        "power cut", "bundle copied half",
    ):  # fmt: skip
        assert word in said, word


def names(text: str, clause: str) -> bool:
    """Tell whether ``text`` names ``clause`` or a part of it: 5.2(1) names 5.2, and 16.2 does not name 6.2."""
    return bool(re.search(rf"(?<![\d.(]){re.escape(clause)}(?=[(,.:; \n]|$)(?!\.\d)", text))


def test_every_clause_has_a_test_or_a_reason() -> None:
    """Only the docstring at the head of a module in tests/clauses/ counts; a mention elsewhere proves nothing."""
    heads = [
        ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        for path in sorted((ROOT / "tests/clauses").glob("test_*.py"))
    ]
    untested = [clause for clause in CLAUSES if clause not in LATER and not any(names(head, clause) for head in heads)]
    assert untested == []


@pytest.mark.parametrize(
    ("text", "clause", "named"),
    [
        ("5.2(1): x", "5.2", True), ("clauses 1, 2.", "2", True), ("7.2(1)", "7.2(1)", True), ("16.2 m", "6.2", False),
        ("7.12", "7.1", False), ("6.2(1)", "6.2(2)", False), ("7.1(3)", "3", False), ("at 7.1.2", "7.1", False),
    ],
)  # fmt: skip
def test_a_clause_is_named_whole(text: str, clause: str, named: bool) -> None:
    assert names(text, clause) is named


def readme_commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    lines = [line[2:].split("#")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if line]


def test_the_first_screen_has_the_two_commands() -> None:
    assert readme_commands()[:2] == ["tools/demo", "tools/check"]


@pytest.mark.parametrize("command", [c for c in readme_commands() if c.split()[0].startswith("pole")])
def test_readme_options_exist(command: str) -> None:
    words = command.split()
    before_options = list(itertools.takewhile(lambda word: not word.startswith("--"), words[1:]))
    help_text = subprocess.run(
        [BIN / words[0], *before_options, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": "/usr/bin"},
    ).stdout
    for option in re.findall(r"--[a-z-]+", command):
        assert option in help_text
