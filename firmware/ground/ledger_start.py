"""Starting a ledger: the first time, every time, and after it was damaged.

Knows:  the ledger's folder, its siblings that were set aside.
Never:  a damaged ledger mended in silence or thrown away: it is set aside whole, and its successor says so.
Leaves: an open ledger; ``ledger-damaged-<n>`` beside it where one had to be succeeded.
Clauses: 7.3(1)3 (the record goes on, and what happened to it is in it).

A successor begins with those lines of the old one that are certainly as they were written; a checkpoint signed before
and kept outside the pole still convicts whoever changed the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from firmware.ground import merkle
from firmware.ground.clock import Clock
from firmware.ground.durable import sync_folder, write_file
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import Ledger, Reader
from firmware.ground.note import Signer

_DAMAGE: Final = {
    "E-LEDGER-EDITED": "edited",
    "E-LEDGER-DROPPED": "dropped",
    "E-LEDGER-REORDERED": "reordered",
    "E-LEDGER-CUT": "cut",
    "E-LEDGER-REWRITTEN": "rewritten",
    "E-LEDGER-NOTE": "checkpoint",
}
_PIECE_BYTES: Final = 1 << 20


def start_ledger(folder: Path, signer: Signer, clock: Clock, pole: str) -> tuple[Ledger, LedgerError | None]:
    """Open the ledger in ``folder``, under the pole's lock; begin it with ``ledger.started`` where there is none.

    A damaged one is set aside and succeeded; the error that named its line is returned beside the successor, for log
    and status. Raises :class:`LedgerError` only where the disk refuses (``E-LEDGER-DISK``).
    """
    try:
        _finish(folder)
        try:
            ledger, damage = Ledger.open(folder, signer, clock), None
        except LedgerError as error:
            if error.code not in _DAMAGE:
                raise
            ledger, damage = _succeed(folder, signer, clock, error), error
    except OSError as error:
        raise LedgerError(
            "E-LEDGER-DISK", f"cannot open: {error.strerror}", where=str(folder), todo="check the disk"
        ) from None
    if not ledger.size:
        ledger.append("ledger.started", pole=pole, generation=len(_damaged(folder)))
    return ledger, damage


def _succeed(folder: Path, signer: Signer, clock: Clock, damage: LedgerError) -> Ledger:
    """Build the successor beside the old one, then exchange the two; ``_finish`` finishes it after a crash."""
    coming = _coming(folder)
    _empty(coming)
    kept_bytes = _sound_bytes(folder / "lines.jsonl") if damage.code != "E-LEDGER-REWRITTEN" else 0
    if kept_bytes:
        write_file(coming / "lines.jsonl", _pieces(folder / "lines.jsonl", kept_bytes))
    successor = Ledger.open(coming, signer, clock)
    successor.append("ledger.succeeded", kept_lines=successor.size, cause=_DAMAGE[damage.code])
    sync_folder(folder.parent)
    folder.rename(folder.with_name(f"{folder.name}-damaged-{len(_damaged(folder)) + 1}"))
    _finish(folder)
    return Ledger.open(folder, signer, clock)


def _finish(folder: Path) -> None:
    """Give a finished successor its name, where a crash came between the two renames; drop an unfinished one."""
    coming = _coming(folder)
    if not coming.exists():
        return
    if folder.exists():
        _empty(coming)
        coming.rmdir()
    else:
        coming.rename(folder)
    sync_folder(folder.parent)


def _sound_bytes(lines: Path) -> int:
    """Return how many bytes of the file are lines that follow each other as they were written."""
    reader = Reader(lines, merkle.Tree())
    with contextlib.suppress(LedgerError):
        reader.read([])
    return reader.offset


def _pieces(path: Path, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for at in range(0, length, _PIECE_BYTES):
            yield file.read(min(_PIECE_BYTES, length - at))


def _empty(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()


def _coming(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-coming")


def _damaged(folder: Path) -> list[Path]:
    return sorted(folder.parent.glob(f"{folder.name}-damaged-*"))
