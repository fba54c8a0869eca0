"""Commands about bundles: made on a pole, judged anywhere, opened at the desk.

Knows:  minutes asked for; at the desk an officer's key file and passphrase.
Never:  a private half on a pole, a bundle opened that was not judged first.
Leaves: bundles, opened films, verdicts.
Clauses: 7.2(1), 7.3(1)1-3.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from pyrage import x25519

from firmware.custodian.answers import Facts, Json, answering, read_text
from firmware.custodian.pole_folder import (
    CONFIG,
    Config,
    PoleKeyFile,
    State,
    expected_key,
    key_line,
    open_holdings,
    refuse_on_a_pole,
)
from firmware.custody.bundle.archive import reading
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.index import Index
from firmware.custody.bundle.making import describe, make_bundle
from firmware.custody.bundle.span import Span, parse_span
from firmware.custody.desk.opening import OfficerKeys, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.custody.keys import keyfile
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import SystemClock

BundleFile = Annotated[Path, typer.Argument(help="The bundle that the pole made.")]


def bundle(
    *,
    begin: Annotated[str, typer.Option("--from", help="First minute: 2026-11-23T09:00:00Z, or with +09:00.")],
    end: Annotated[str, typer.Option("--to", help="End of the last minute (not included).")],
    out: Annotated[Path, typer.Option("--out", help="The bundle; must not exist.")],
    document: Annotated[str, typer.Option("--document", help="Number of the document that asks (7.2(1)).")] = "",
    config_folder: Config = CONFIG,
    state: State = None,
    as_json: Json = False,
) -> None:
    """On a pole: hand out the sealed minutes a document asks for. Recorded in the ledger before anything leaves."""
    with answering(as_json=as_json) as answer:
        span = parse_span(begin, end, SystemClock().utc_ns())
        made, proven = asyncio.run(_bundle(config_folder, state, document, span, out))
        missing, damaged = describe(made.missing), len(made.damaged)
        answer(
            {"file": str(out), "asked": span.text(), "clock_proven": proven, **_summary(made)},
            f"bundle       {out}\nminutes      {len(made.epochs)} of {span.count}\nledger line  n={made.ledger_line}"
            + (f"\nnot in it    {missing}" if missing else "")
            + (f"\ndamaged      {damaged} chunks already lay damaged on the pole" if damaged else "")
            + ("" if proven else "\nclock        not proven: only a bench hands out all the same"),
        )


def open_(
    bundle_file: BundleFile,
    *,
    identity_a: Annotated[Path, typer.Option("--identity-a", help="Key file of an officer of group A.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for films and papers.")],
    identity_b: Annotated[Path | None, typer.Option("--identity-b", help="Key file of an officer of group B.")] = None,
    passphrase_a: Annotated[Path | None, typer.Option("--passphrase-a-file", help="Instead of asking.")] = None,
    passphrase_b: Annotated[Path | None, typer.Option("--passphrase-b-file", help="Instead of asking.")] = None,
    pole_key: PoleKeyFile = None,
    as_json: Json = False,
) -> None:
    """At the desk, with a key of each group: check everything, then write one film a camera, gap list and hashes."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        expected = expected_key(pole_key)
        with reading(bundle_file) as reader:  # before anybody is asked for a passphrase
            CheckedBundle(reader, expected)
        keys = OfficerKeys(
            unlock(identity_a, passphrase_a, "A"), unlock(identity_b, passphrase_b, "B") if identity_b else []
        )
        reporter = Reporter(bundle_file, compared=expected is not None)
        opened = open_bundle(bundle_file, keys, out, Mp4Film, reporter.write, expected)
        films = "\n".join(f"film         {part.path} ({part.frames} frames)" for part in opened.parts)
        answer(
            {"out": str(out), **reporter.facts},
            f"{films or 'film         none: no chunk could be opened'}\n"
            f"gaps         {reporter.facts['gaps']} (gaps.csv)\nunreadable   {len(opened.unreadable)} chunks\n"
            + key_line(opened.checked.key, compared=expected is not None),
        )


def check(bundle_file: BundleFile, *, pole_key: PoleKeyFile = None, as_json: Json = False) -> None:
    """Judge a bundle without opening it: signature, ledger proofs, every hash."""
    with answering(as_json=as_json) as answer:
        expected = expected_key(pole_key)
        with reading(bundle_file) as reader:
            checked = CheckedBundle(reader, expected)
            for member in checked.index.members:
                checked.read(member.name, member.length)
        key = checked.key
        answer(
            {"pole_key": key.text(), "fingerprint": key.fingerprint(), **_summary(checked.index)},
            f"bundle       {bundle_file}: whole and unchanged\nminutes      {len(checked.index.epochs)}\n"
            + key_line(key, compared=expected is not None),
        )


async def _bundle(config_folder: Path, state: Path | None, document: str, span: Span, out: Path) -> tuple[Index, bool]:
    holdings = await open_holdings(config_folder, state)
    return await make_bundle(holdings, document, span, out), holdings.trust.settled


def _summary(made: Index) -> Facts:
    return {
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
            return str(typer.prompt(f"Nine words of group {group}'s key {path.name}", hide_input=True, err=True))
        return read_text(passphrase)

    return keyfile.unlock(path, ask)
