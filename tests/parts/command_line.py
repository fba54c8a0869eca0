"""Officers at the command line: ``pole-custodian`` as they type it, each with the own key."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyrage import x25519
from typer.testing import CliRunner

from firmware import custodian

RUNNER = CliRunner()
POLICE = "odawara-ps"
INQUIRY = "investigation-inquiry"


def custodian_says(*words: str, typed: str = "") -> tuple[int, dict[str, Any]]:
    """Run ``pole-custodian ... --json``; return exit code and answer."""
    done = RUNNER.invoke(custodian.app, [*words, "--json"], input=typed)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    lines = done.stdout.splitlines()
    return done.exit_code, json.loads(lines[-1]) if lines else {}


@dataclass
class CommandLine:
    """Officers of the pole whose settings lie in ``folder``; their keys in ``keys``."""

    folder: Path
    keys: Path

    def key(self, account: str) -> Path:
        path = self.keys / account
        if not path.exists():
            self.keys.mkdir(exist_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
        return path

    def public(self, account: str) -> str:
        return " ".join(self.key(account).with_suffix(".pub").read_text().split()[:2])

    def do(self, *words: str, by: str = "manager", more: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        """Run a command as ``by``, signed by ``more`` too."""
        who = ["--config", str(self.folder), "--as", by]
        for account in more:
            who += ["--with", account]
        for account in (by, *more):
            who += ["--sign-with", str(self.key(account))]
        return custodian_says(*words, *who)

    def must(self, *words: str, by: str = "manager", more: tuple[str, ...] = ()) -> dict[str, Any]:
        code, answer = self.do(*words, by=by, more=more)
        assert code == 0, (words, answer)
        return answer

    def refused(self, *words: str, by: str = "manager", more: tuple[str, ...] = ()) -> dict[str, Any]:
        code, answer = self.do(*words, by=by, more=more)
        assert code == 1, (words, answer)
        error: dict[str, Any] = answer["error"]
        return error

    def found(self, pole: str = "sp03") -> None:
        """Found the office of chief and manager and register the police station."""
        file = self.folder / "founders.toml"
        rows = [
            f'[[officers]]\naccount = "{account}"\nrole = "{account}"\nkey = "{self.public(account)}"\n'
            for account in ("chief", "manager")
        ]
        file.write_text("\n".join(rows))
        self.must("officer", "found", str(file), "--yes", pole, by="chief", more=("manager",))
        key = str(x25519.Identity.generate().to_public())
        self.must(
            *("recipient", "add", POLICE, "--organisation", "小田原警察署", "--kind", "police-station", "--key", key)
        )

    def listed(self) -> Path:
        """The office's own list of its officers' keys."""
        path = self.folder / "officers.txt"
        path.write_text("".join(f"{account} {self.public(account)}\n" for account in ("chief", "manager")))
        return path

    def until_scoped(self, begin: str, end: str, document: str) -> str:
        """Open a case, enter its document, scope it; return its number."""
        self.must("case", "open")
        case: str = self.must("case", "list")["cases"][-1]["case"]
        self.must(
            *("case", "document", case, "--document", document, "--date", "2026-11-20"),
            *("--authority", "小田原警察署", "--instrument", INQUIRY, "--reason", "別紙"),
        )
        self.must("case", "scope", case, "--span", f"{begin}/{end}", "--to", POLICE)
        return case

    def until_sealed(self, begin: str, end: str, document: str) -> str:
        """Lead a case to its seal; return its number."""
        case = self.until_scoped(begin, end, document)
        for account in ("manager", "chief"):
            self.must("case", "approve", case, by=account)
        self.must("case", "seal", case, "--yes", case)
        return case
