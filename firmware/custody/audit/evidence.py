"""Checkpoints from everywhere: the pole's own, an auditor's files, the archives of witnesses.

Knows:  signed notes, the keys an auditor trusts.
Never:  an unsigned checkpoint where a key was given, a witness's word by a key that was not named.
Leaves: checkpoints with who saw them and when; an error that names the file.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import growth, note
from firmware.ground.errors import ConfigError, LedgerError
from firmware.ground.note import Checkpoint

_DOUBTFUL: Final = frozenset({"evidence", "waiting"})
"""Rooms of a witness's archive where notes may lie that the pole never signed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was kept. ``seen`` tells when (UTC seconds) which witness saw it; empty: nobody cosigned it."""

    checkpoint: Checkpoint
    where: str
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Evidence:
    """Everything an auditor has beside the ledger. Made by :func:`gather`."""

    seen: list[Seen]
    folders: list[Path]
    key: PoleKey | None
    unsigned: int = 0
    """Notes in witnesses' rooms of evidence that the pole's key has not signed: somebody else made them."""

    def checkpoints(self) -> list[Checkpoint]:
        """Return each checkpoint once, by size. Raises :class:`LedgerError` ``E-LEDGER-FORKED`` for two histories."""
        by_size = dict[int, Seen]()
        for one in self.seen:
            other = by_size.setdefault(one.checkpoint.size, one)
            if other.checkpoint != one.checkpoint:
                raise LedgerError(
                    "E-LEDGER-FORKED",
                    f"the pole has signed two different ledgers of {one.checkpoint.size} lines: one of lines n=0 to "
                    f"n={one.checkpoint.size - 1} was changed for one of those who looked",
                    where=f"{other.where} and {one.where}",
                    todo="keep both files: together they convict whoever holds the pole's key",
                    clause="7.3(1)3",
                )
        return [by_size[size].checkpoint for size in sorted(by_size)]

    def newest_seen(self) -> dict[str, Seen]:
        """Return the largest checkpoint that each witness cosigned."""
        found = dict[str, Seen]()
        for one in sorted(self.seen, key=lambda one: one.checkpoint.size):
            found |= dict.fromkeys(one.seen, one)
        return found

    def leaves_between(self, first: int, size: int) -> dict[int, bytes]:
        """Return what was published about single lines from n=``first`` on, up to ``size`` lines: index to leaf hash.

        Only hashes that fit a checkpoint which the pole signed are returned. Reads the archives' growth texts.
        """
        known = dict[int, set[Checkpoint]]()
        for one in self.seen:
            known.setdefault(one.checkpoint.size, set()).add(one.checkpoint)
        found = dict[int, bytes]()
        for path in self._growth_files(first, size):
            try:
                told = growth.parse(path.read_text("utf-8"), where=str(path))
                if self.key is not None:
                    note.open_note(told.signed, [self.key], where=str(path))
            except (LedgerError, UnicodeDecodeError):
                continue  # it says nothing that could be believed
            if any(told.leaves_hold(old) for old in known.get(told.first_leaf, {None})):
                found |= dict(enumerate(told.leaves, told.first_leaf))
        return {index: leaf for index, leaf in found.items() if first <= index < size}

    def _growth_files(self, first: int, size: int) -> list[Path]:
        files = {
            int(path.stem): path
            for folder in self.folders
            for path in folder.rglob("*.growth")
            if path.stem.isdecimal()
        }
        return [files[number] for number in sorted(files) if first < number <= size]


def gather(
    files: Sequence[Path], folders: Sequence[Path], key: PoleKey | None, witnesses: Sequence[WitnessKey]
) -> Evidence:
    """Read and judge every note in ``files``, and in ``folders`` (a witness's folder of this pole, or any folder).

    Raises :class:`LedgerError`: a note that the pole's ``key`` has not signed (if one is given), a false cosignature,
    a named witness that has cosigned none of it (``E-LEDGER-UNWITNESSED``).
    """
    rooms = [_newest_history(folder) for folder in folders]
    found = Evidence([], rooms, key)
    notes = [path for room in rooms for path in sorted(room.rglob("*.note"))]
    if key is None:  # then nothing tells the pole's own words from a stranger's
        notes = [path for path in notes if path.parent.name not in _DOUBTFUL]
    for path in [*files, *notes]:
        try:
            found.seen.append(_read(path, key, witnesses))
        except LedgerError as error:
            if error.code != "E-LEDGER-SIGNATURE" or path.parent.name not in _DOUBTFUL:
                raise
            found.unsigned += 1
    for witness in witnesses:
        if not any(witness.name in one.seen for one in found.seen):
            raise LedgerError(
                "E-LEDGER-UNWITNESSED",
                f"none of the {len(found.seen)} checkpoints is cosigned by {witness.name} with the key you gave",
                where=", ".join(str(path) for path in [*files, *folders]) or "no checkpoint was given",
                todo="ask that witness itself for its archive and its key; another key under its name is not its word",
                clause="7.3(1)3",
            )
    return found


def _read(path: Path, key: PoleKey | None, witnesses: Sequence[WitnessKey]) -> Seen:
    text, where = _text(path), str(path)
    if key is not None:
        note.open_note(text, [key], where=where)
    seen = dict[str, int]()
    for witness in witnesses:
        at = witness.seen_utc_seconds(text, where=where)
        if at is not None:
            note.open_note(text, [witness], where=where)
            seen[witness.name] = at
    checkpoint = note.parse_checkpoint(text, where=where)
    if key is not None and checkpoint.origin != key.name:
        raise LedgerError(
            "E-LEDGER-NOTE", "this is another ledger's checkpoint", where=where, todo=f"give those of {key.name}"
        )
    return Seen(checkpoint, where, seen)


def _newest_history(folder: Path) -> Path:
    """Return the history in force of a witness's folder (see ``tools/witness``), or the folder itself."""
    if not folder.is_dir():
        raise ConfigError("E-CONFIG-FILE", "there is no such folder", where=str(folder), todo="give another folder")
    numbered = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    return max(numbered, key=lambda path: int(path.name), default=folder)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "E-CONFIG-FILE", "cannot be read as text", where=str(path), todo="give another file"
        ) from None
