"""``pole-custodian``: the officers' command line. Construction and words; the rules live in ``custody``.

Knows:  options, a pole's folders; at the desk an officer's key file and passphrase.
Never:  camera, network, people flow; a private half on a pole; a traceback on an officer's screen.
Leaves: key files, bundles, opened films, verdicts; exit code 0 done, 1 refused, 2 wrong usage or settings.
Clauses: 5.1 (apart from people flow), 7.2(1), 7.3(1)1-3.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from pyrage import x25519

from firmware.custody import officers
from firmware.custody.archive import reading
from firmware.custody.bundle import Holdings, describe, make_bundle
from firmware.custody.check import CheckedBundle
from firmware.custody.desk import OfficerKeys, open_bundle
from firmware.custody.index import Index
from firmware.custody.pole_file import PoleFile
from firmware.custody.report import Reporter
from firmware.custody.span import Span, parse_span
from firmware.custody.verifier import PoleKey
from firmware.drivers.mp4 import Mp4Film
from firmware.drivers.pole_keys import open_pole_keys
from firmware.footage.clock_trust import TrustedTime, read_ratchet
from firmware.footage.parts import ratchet_in
from firmware.footage.settings import FootageSettings
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import config, note
from firmware.ground.clock import SystemClock
from firmware.ground.errors import CaseError, ConfigError, KeystoreError, LedgerError, PoleError
from firmware.ground.ledger import Ledger, verify
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log

CONFIG: Final = Path("/etc/smartpole")
"""Where a pole's settings lie; a machine that has them is a pole, and no office."""

Facts = dict[str, Any]
Config = Annotated[Path, typer.Option("--config", help="Folder of the pole's settings.")]
State = Annotated[Path | None, typer.Option("--state", help="State directory, where it is not the settings' own.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
PoleKeyFile = Annotated[Path | None, typer.Option("--pole-key", help="File with the pole's public key (pole-key).")]
BundleFile = Annotated[Path, typer.Argument(help="The bundle that the pole made.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
audit = typer.Typer(no_args_is_help=True, help="Judge records.")
app.add_typer(audit, name="audit")


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def keygen(
    *,
    out: Annotated[Path, typer.Option("--out", help="Where the key file goes; never overwritten.")],
    name: Annotated[str, typer.Option("--name", help="A code for the key, not a person's name.")] = "officer",
    as_json: Json = False,
) -> None:
    """Make an officer's key: a file that stock age reads, opened by nine words that are shown once."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        if not as_json and not sys.stdout.isatty():
            raise KeystoreError(
                "E-KEY-TERMINAL", "the passphrase is shown on a terminal only, never written to a file",
                where="standard output", todo="run it in a terminal; a program that keeps it safe uses --json",
                clause="7.3(1)1",
            )  # fmt: skip
        key = officers.new_key(name, SystemClock().utc_ns())
        officers.write_key(out, key)
        answer(
            {"file": str(out), "recipient": key.recipient, "passphrase": key.passphrase},
            f"key file     {out}\npublic half  {key.recipient}\npassphrase   {key.passphrase}\n"
            "Write the nine words down now, away from the file. They are shown this once and kept nowhere.",
        )


@app.command()
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
        made = asyncio.run(_bundle(config_folder, state, document, span, out))
        missing, damaged = describe(made.missing), len(made.damaged)
        answer(
            {"file": str(out), "asked": span.text(), **_summary(made)},
            f"bundle       {out}\nminutes      {len(made.epochs)} of {span.count}\nledger line  n={made.ledger_line}"
            + (f"\nnot in it    {missing}" if missing else "")
            + (f"\ndamaged      {damaged} chunks already lay damaged on the pole" if damaged else ""),
        )


@app.command("open")
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
        expected = _pole_key(pole_key)
        with reading(bundle_file) as reader:  # before anybody is asked for a passphrase
            CheckedBundle(reader, expected)
        keys = OfficerKeys(
            _unlock(identity_a, passphrase_a, "A"), _unlock(identity_b, passphrase_b, "B") if identity_b else []
        )
        reporter = Reporter(bundle_file, compared=expected is not None)
        opened = open_bundle(bundle_file, keys, out, Mp4Film, reporter.write, expected)
        films = "\n".join(f"film         {part.path} ({part.frames} frames)" for part in opened.parts)
        answer(
            {"out": str(out), **reporter.facts},
            f"{films or 'film         none: no chunk could be opened'}\n"
            f"gaps         {reporter.facts['gaps']} (gaps.csv)\nunreadable   {len(opened.unreadable)} chunks\n"
            + _key_line(opened.checked.key, compared=expected is not None),
        )


@app.command()
def check(bundle_file: BundleFile, *, pole_key: PoleKeyFile = None, as_json: Json = False) -> None:
    """Judge a bundle without opening it: signature, ledger proofs, every hash."""
    with answering(as_json=as_json) as answer:
        expected = _pole_key(pole_key)
        with reading(bundle_file) as reader:
            checked = CheckedBundle(reader, expected)
            for member in checked.index.members:
                checked.read(member.name, member.length)
        key = checked.key
        answer(
            {"pole_key": key.text(), "fingerprint": key.fingerprint(), **_summary(checked.index)},
            f"bundle       {bundle_file}: whole and unchanged\nminutes      {len(checked.index.epochs)}\n"
            + _key_line(key, compared=expected is not None),
        )


@app.command("pole-key")
def pole_key_(*, config_folder: Config = CONFIG, state: State = None, as_json: Json = False) -> None:
    """On a pole: show the public key that signs its ledger, for the office to keep."""
    with answering(as_json=as_json) as answer:
        pole, footage, folder = _settings(config_folder, state)
        _, signer = asyncio.run(open_pole_keys(footage, folder, pole.ledger_origin, Log()))
        text = note.verifier_text(signer.name, signer.algorithm, signer.public_key)
        key = PoleKey.parse(text, where="the pole")
        answer({"pole_key": text, "fingerprint": key.fingerprint()}, f"{text}\nfingerprint  {key.fingerprint()}")


@app.command("verify-ledger")
def verify_ledger(
    *,
    state: Annotated[Path, typer.Option("--state", help="A pole's state directory, or a copy of it.")],
    checkpoints: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere; may be repeated.")
    ] = None,
    pole_key: PoleKeyFile = None,
    as_json: Json = False,
) -> None:
    """Judge a ledger against its own last checkpoint and any others; name the line that was changed."""
    with answering(as_json=as_json) as answer:
        folder, expected = state / "ledger", _pole_key(pole_key)
        own = [folder / "checkpoint"] if (folder / "checkpoint").exists() else []
        found = [_checkpoint(path, expected) for path in [*own, *(checkpoints or [])]]
        if not (found or (folder / "lines.jsonl").exists()):
            raise LedgerError("E-LEDGER-NONE", "there is no ledger", where=str(folder), todo="give a pole's --state")
        tree = verify(folder, found)
        signed = "signatures judged" if expected else "signatures NOT judged: give --pole-key"
        answer(
            {"lines": tree.size, "root": tree.root().hex(), "checkpoints": len(found), "signatures": bool(expected)},
            f"ledger       {tree.size} lines, whole\ncheckpoints  {len(found)} agree, {signed}",
        )


audit.command("verify")(verify_ledger)


def refuse_on_a_pole() -> None:
    """Raise :class:`CaseError` on a machine that is a pole: private halves never come there (7.3(1)1)."""
    if (CONFIG / "pole.toml").exists():
        raise CaseError(
            "E-CASE-HERE", "this machine is a pole", where=str(CONFIG), todo="do this at the office's desk",
            clause="7.3(1)1",
        )  # fmt: skip


@contextlib.contextmanager
def answering(*, as_json: bool) -> Iterator[Callable[[Facts, str], None]]:
    """Give a function that prints facts or text; a PoleError becomes one line (or JSON), exit code 1 (settings: 2)."""

    def answer(facts: Facts, text: str) -> None:
        typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)

    try:
        with _in_words():
            yield answer
    except PoleError as error:
        if as_json:
            typer.echo(json.dumps({"error": error.facts()}, ensure_ascii=False))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Make a failing disk or medium an error that says where: no traceback on an officer's screen."""
    try:
        yield
    except OSError as error:
        where = str(error.filename or "the system")
        raise CaseError("E-CASE-DISK", f"{error.strerror}", where=where, todo="check medium and rights") from None


async def _bundle(config_folder: Path, state: Path | None, document: str, span: Span, out: Path) -> Index:
    pole, footage, folder = await asyncio.to_thread(_settings, config_folder, state)
    clock, log = SystemClock(), Log()
    keystore, signer = await open_pole_keys(footage, folder, pole.ledger_origin, log)
    store = Store(folder / "footage")
    holdings = Holdings(
        pole=pole.pole,
        store=store,
        table=EpochTable(store.folder, keystore),
        ledger=await asyncio.to_thread(lambda: Ledger.open(folder / "ledger", signer, clock, mend=False)),
        lock=PoleLock(folder / "lock"),
        signer=signer,
        clock=clock,
        trust=TrustedTime(clock, read_ratchet(ratchet_in(store.folder))),
        retention_hours=footage.retention_hours,
    )
    return await make_bundle(holdings, document, span, out)


def _settings(folder: Path, state: Path | None) -> tuple[PoleFile, FootageSettings, Path]:
    pole = config.load(folder / "pole.toml", PoleFile)
    footage = config.load(folder / "footage.toml", FootageSettings)
    footage.refuse_unfit(pole.profile)
    found = state or pole.state_path(folder)
    if not found.is_dir():
        raise ConfigError(
            "E-CONFIG-STATE", "there is no pole's state", where=str(found), todo="give --state, or run pole"
        )
    return pole, footage, found


def _summary(made: Index) -> Facts:
    return {
        "document": made.document,
        "minutes": len(made.epochs),
        "missing": [msgspec.to_builtins(run) for run in made.missing],
        "damaged": [msgspec.to_builtins(chunk) for chunk in made.damaged],
        "ledger_line": made.ledger_line,
    }


def _key_line(key: PoleKey, *, compared: bool) -> str:
    return f"pole's key   {key.fingerprint()}\n             " + (
        "is the one you gave" if compared else "compare it with the office's list, or give --pole-key"
    )


def _unlock(path: Path, passphrase: Path | None, group: str) -> list[x25519.Identity]:
    def ask() -> str:
        if passphrase is None:
            return str(typer.prompt(f"Nine words of group {group}'s key {path.name}", hide_input=True, err=True))
        return _text(passphrase)

    return officers.unlock(path, ask)


def _pole_key(path: Path | None) -> PoleKey | None:
    return None if path is None else PoleKey.parse(_text(path).split("\n")[0], where=str(path))


def _checkpoint(path: Path, key: PoleKey | None) -> note.Checkpoint:
    text = _text(path)
    return note.parse_checkpoint(note.open_note(text, [key], where=str(path)) if key else text, where=str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "E-CONFIG-FILE", "cannot be read as text", where=str(path), todo="give another file"
        ) from None


if __name__ == "__main__":
    main()
