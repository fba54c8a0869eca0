"""Officers, recipients, media and acts from the command line, as two officers and an auditor would."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519
from typer.testing import CliRunner

from firmware import custodian
from firmware.custodian import pole_folder
from tests.parts.office import new_key

RUNNER = CliRunner()
ORGANISATION = "=小田原警察署"  # a spreadsheet must not take it for a formula


class Pole:
    """A bench pole's folders and the officers' key files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conf" / "state").mkdir(parents=True)
        groups = [str(x25519.Identity.generate().to_public()) for _ in range(2)]
        (folder / "conf" / "pole.toml").write_text(
            'pole = "sp03"\nsite = "smartpole.example"\nprofile = "bench"\nstate_directory = "state"\n'
        )
        (folder / "conf" / "footage.toml").write_text(
            f'keystore = "software"\n[officers]\na = ["{groups[0]}"]\nb = ["{groups[1]}"]\n'
        )
        tables = []
        for account, group in (("chief", "a"), ("manager", "b")):
            key = new_key(folder / account)
            tables.append(
                f'[[officers]]\naccount = "{account}"\nrole = "{account}"\nkey = "{key}"\ngroup = "{group}"\n'
            )
        (folder / "found.toml").write_text("".join(tables))

    def say(self, *words: str, by: str, more: tuple[str, ...] = (), typed: str = "") -> tuple[int, dict[str, Any], str]:
        """Run a command with --json; return exit code, facts, what stood on the error stream."""
        signed = [word for account in (by, *more) for word in ("--sign-with", str(self.folder / account))]
        others = [word for account in more for word in ("--with", account)]
        at = ["--config", str(self.folder / "conf"), "--as", by, "--json"]
        said = RUNNER.invoke(custodian.app, [*words, *at, *others, *signed], input=typed)
        return said.exit_code, json.loads(said.stdout), said.stderr

    def found(self) -> None:
        code, facts, _ = self.say(
            "officer", "found", str(self.folder / "found.toml"), "--yes", "sp03", by="chief", more=("manager",)
        )
        assert (code, facts["act"]) == (0, 1)


@pytest.fixture
def pole(tmp_path: Path) -> Pole:
    pole = Pole(tmp_path)
    pole.found()
    return pole


def add_recipient(pole: Pole) -> None:
    key = str(x25519.Identity.generate().to_public())
    words = ("recipient", "add", "odawara-ps", "--organisation", ORGANISATION, "--kind", "police-station", "--key", key)
    assert pole.say(*words, by="manager")[0] == 0


def test_what_cannot_be_undone_asks_for_the_word(pole: Pole) -> None:
    add_recipient(pole)
    code, facts, _ = pole.say("recipient", "remove", "odawara-ps", by="manager")
    assert (code, facts["error"]["code"]) == (1, "E-OFFICE-WORD")
    assert pole.say("recipient", "remove", "odawara-ps", "--yes", "wrong", by="manager")[0] == 1
    code, facts, _ = pole.say("recipient", "remove", "odawara-ps", "--yes", "odawara-ps", by="manager")
    assert (code, "nothing ever again" in facts["afterwards"]) == (0, True)
    _, facts, _ = pole.say("recipient", "list", by="manager")
    assert [row["state"] for row in facts["recipients"]] == ["removed"]


def test_a_role_is_refused_before_anybody_signs(pole: Pole) -> None:
    new_key(pole.folder / "flow")
    words = ("officer", "grant", "flow", "--role", "flow-manager", "--key", str(pole.folder / "flow.pub"))
    code, facts, _ = pole.say(*words, by="manager")
    assert (code, facts["error"]["code"], facts["error"]["clause"]) == (1, "E-OFFICE-ROLE", "5.1(1)")
    assert pole.say(*words, by="chief")[0] == 0
    for asked in (["retrievals", "list"], ["recipient", "list"], ["medium", "list"], ["act", "show", "1"]):
        code, facts, _ = pole.say(*asked, by="flow")
        assert (code, facts["error"]["code"], facts["error"]["clause"]) == (1, "E-OFFICE-ROLE", "5.1(1)")


def test_who_asks_must_hold_the_key(pole: Pole) -> None:
    (pole.folder / "chief").rename(pole.folder / "chiefs")
    (pole.folder / "manager").rename(pole.folder / "chief")
    code, facts, _ = pole.say("recipient", "list", by="chief")
    assert (code, facts["error"]["code"]) == (1, "E-OFFICE-SIGN")


def test_drawn_up_at_the_pole_signed_at_the_desk_done_at_the_pole(pole: Pole) -> None:
    file = pole.folder / "usb.act"
    words = ("medium", "register", "usb-07", "--kind", "usb", "--serial", "X1", "--draw-up", str(file))
    code, facts, _ = pole.say(*words, by="manager")
    assert (code, facts["needs"]) == (0, [["manager"]])
    at = ["--config", str(pole.folder / "conf"), "--json"]
    said = RUNNER.invoke(custodian.app, ["act", "submit", str(file), *at])
    assert (said.exit_code, json.loads(said.stdout)["act"]) == (0, 2)
    said = RUNNER.invoke(custodian.app, ["act", "submit", str(file), *at])
    assert json.loads(said.stdout)["error"]["code"] == "E-OFFICE-REPLAYED"
    _, facts, _ = pole.say("act", "show", "2", by="manager")
    assert facts["content"]["serial"] == "X1"
    assert "BEGIN SSH SIGNATURE" in facts["signatures"][0]["signature"]


def test_a_key_file_never_signs_on_a_pole(pole: Pole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pole_folder, "CONFIG", pole.folder / "conf")
    code, facts, _ = pole.say("medium", "register", "usb-07", "--kind", "usb", "--serial", "X1", by="manager")
    assert (code, facts["error"]["code"]) == (1, "E-CASE-HERE")


def test_the_record_of_retrievals_is_exported(pole: Pole) -> None:
    add_recipient(pole)
    at = ("--yes", "2026-0012")
    assert pole.say("case", "open", "2026-0012", by="manager")[0] == 0
    assert pole.say("case", "withdraw", "2026-0012", *at, by="manager")[0] == 0
    out = pole.folder / "retrievals.csv"
    code, facts, _ = pole.say("retrievals", "export", "--out", str(out), by="manager")
    assert (code, facts["rows"]) == (0, 1)
    content = out.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert (row["case"], row["result"], row["by"]) == ("2026-0012", "withdrawn", "manager")
    assert pole.say("retrievals", "export", "--out", str(out), by="manager")[0] == 1
