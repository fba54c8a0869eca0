"""Commands that judge records.

Knows:  a copy of a ledger, checkpoints kept elsewhere.
Never:  a pole's lock, a private half.
Leaves: verdicts that name the line.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Json, answering, read_text
from firmware.custodian.pole_folder import PoleKeyFile, expected_key
from firmware.custody.keys.pole_key import PoleKey
from firmware.ground import note
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import verify


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
        folder, expected = state / "ledger", expected_key(pole_key)
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


def _checkpoint(path: Path, key: PoleKey | None) -> note.Checkpoint:
    text = read_text(path)
    return note.parse_checkpoint(note.open_note(text, [key], where=str(path)) if key else text, where=str(path))
