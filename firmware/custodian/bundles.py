"""Commands about bundles: judged anywhere, opened at the desk. ``case bundle`` makes them on a pole.

Knows:  bundles; at the desk an officer's key file and passphrase.
Never:  a private half on a pole, a bundle opened that was not judged first.
Leaves: opened films, verdicts.
Clauses: 7.2(1), 7.3(1)1-3.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from pyrage import x25519

from firmware.custodian.answers import Facts, Json, answering, read_text
from firmware.custodian.language import language
from firmware.custodian.pole_folder import PoleKeyFile, expected_key, key_line, refuse_on_a_pole
from firmware.custody.bundle.archive import reading
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.index import Index
from firmware.custody.desk.approvals import Approvals, prove_approvals
from firmware.custody.desk.opening import OfficerKeys, Prove, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.custody.keys import keyfile
from firmware.custody.office.sentences import asking
from firmware.drivers.mp4 import Mp4Film
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.ground.errors import ConfigError

Officers = Annotated[
    Path | None, typer.Option("--officers", help="The office's own list of officers' keys: ACCOUNT KEYTYPE KEY a line.")
]
BundleFile = Annotated[Path, typer.Argument(help="The bundle that the pole made.")]


def open_(
    bundle_file: BundleFile,
    *,
    identity_a: Annotated[Path, typer.Option("--identity-a", help="Key file of an officer of group A.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for films and papers.")],
    identity_b: Annotated[Path | None, typer.Option("--identity-b", help="Key file of an officer of group B.")] = None,
    passphrase_a: Annotated[Path | None, typer.Option("--passphrase-a-file", help="Instead of asking.")] = None,
    passphrase_b: Annotated[Path | None, typer.Option("--passphrase-b-file", help="Instead of asking.")] = None,
    pole_key: PoleKeyFile = None,
    officers: Officers = None,
    as_json: Json = False,
) -> None:
    """At the desk, with a key of each group: check everything, then write one film a camera, gap list and hashes."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        expected = expected_key(pole_key)
        prove = prover(officers)
        with reading(bundle_file) as reader:  # before anybody is asked for a passphrase
            prove(CheckedBundle(reader, expected))
        keys = OfficerKeys(
            unlock(identity_a, passphrase_a, "A"), unlock(identity_b, passphrase_b, "B") if identity_b else []
        )
        reporter = Reporter(bundle_file, compared=expected is not None)
        opened = open_bundle(bundle_file, keys, out, Mp4Film, reporter.write, prove, expected)
        films = "\n".join(f"film         {part.path} ({part.frames} frames)" for part in opened.parts)
        answer(
            {"out": str(out), **reporter.facts},
            f"{films or 'film         none: no chunk could be opened'}\n"
            f"gaps         {reporter.facts['gaps']} (gaps.csv)\nunreadable   {len(opened.unreadable)} chunks\n"
            + key_line(opened.checked.key, compared=expected is not None)
            + "\n"
            + approvals_line(opened.approvals),
        )


def check(
    bundle_file: BundleFile, *, pole_key: PoleKeyFile = None, officers: Officers = None, as_json: Json = False
) -> None:
    """Judge a bundle without opening it: signature, ledger proofs, every hash, the two officers' approvals."""
    with answering(as_json=as_json) as answer:
        expected = expected_key(pole_key)
        with reading(bundle_file) as reader:
            checked = CheckedBundle(reader, expected)
            for member in checked.index.members:
                checked.read(member.name, member.length)
            approvals = prover(officers)(checked)
        key = checked.key
        answer(
            {
                "pole_key": key.text(),
                "fingerprint": key.fingerprint(),
                "approved_by": [approvals.manager, approvals.chief],
                "officers_compared": approvals.compared,
                **summary_of(checked.index),
            },
            f"bundle       {bundle_file}: whole and unchanged\nminutes      {len(checked.index.epochs)}\n"
            + key_line(key, compared=expected is not None)
            + "\n"
            + approvals_line(approvals),
        )


def prover(officers: Path | None) -> Prove:
    """Return what judges approvals, by the office's own list where one was given."""
    listed = None if officers is None else _listed(officers)
    return lambda checked: prove_approvals(checked, SshKeygen(os.environ), listed)


def _listed(path: Path) -> dict[str, str]:
    """Read ``ACCOUNT KEYTYPE KEY`` lines, as ssh-keygen's allowed signers have them. Raises :class:`ConfigError`."""
    listed = {}
    for line in read_text(path).splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3:
            raise ConfigError(
                "E-CONFIG-FILE", "a line is not ACCOUNT KEYTYPE KEY", where=str(path), todo="one officer a line"
            )
        listed[words[0]] = f"{words[1]} {words[2]}"
    return listed


def approvals_line(approvals: Approvals) -> str:
    """Return the lines that show who approved, and whether their keys were compared."""
    return f"approved by  {approvals.manager} (manager), {approvals.chief} (chief)\n             " + (
        "with keys of the list you gave" if approvals.compared else "keys as the pole has them: give --officers"
    )


def summary_of(made: Index) -> Facts:
    """Return a bundle's index as facts."""
    return {
        "case": made.case,
        "dossier": made.dossier,
        "document": made.document,
        "minutes": len(made.epochs),
        "missing": [msgspec.to_builtins(run) for run in made.missing],
        "damaged": [msgspec.to_builtins(chunk) for chunk in made.damaged],
        "ledger_line": made.ledger_line,
    }


def unlock(path: Path, passphrase: Path | None, group: str) -> list[x25519.Identity]:
    """Return the identities of a key file; ask for its nine words unless a file has them."""

    def ask() -> str:
        if passphrase is None:
            words = asking("nine-words", language(), group=group, file=path.name)
            return str(typer.prompt(words, hide_input=True, err=True))
        return read_text(passphrase)

    return keyfile.unlock(path, ask)
