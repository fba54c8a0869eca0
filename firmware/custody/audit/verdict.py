"""The verdict on a whole ledger: each line as it was written, where it was written, dated as it was; or which is not.

Knows:  the lines file, checkpoints with who saw them.
Never:  a lock, a change, a line believed because the pole says so.
Leaves: a verdict; or an error that names the line.
Clauses: 7.3(1)3.

A line that was edited, dropped, moved or doubled breaks the chain: it is named from the file alone. Where the chain was
redone as well, with the pole's own key if need be, a checkpoint kept elsewhere does not fit any more; the line is then
named by the hashes of lines that a witness archived, or else by the two checkpoints it lies between.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.custody.audit.evidence import Evidence
from firmware.ground import ledger_lines, merkle
from firmware.ground.clock import NS_PER_SECOND, iso_utc
from firmware.ground.errors import LedgerError
from firmware.ground.ledger import verify

TOLERANCE_SECONDS: Final = 120
"""How far a pole's clock may be ahead of a witness's."""

_BY_CHECKPOINT: Final = frozenset({"E-LEDGER-REWRITTEN", "E-LEDGER-FORKED", "E-LEDGER-CUT"})
"""Faults that a checkpoint shows and the file alone does not: the line is looked for in what was published."""

_MOST_REMARKS: Final = 20
_UTC: Final = b'"utc":"'
_UTC_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """A whole ledger. ``witnessed`` tells by witness up to which size and since when (UTC seconds) it vouches for it.

    ``backwards`` are lines dated before the line ahead of them: a clock was set back, or a line was dated so.
    """

    lines: int
    root: bytes
    checkpoints: int
    witnessed: dict[str, tuple[int, int]]
    backwards: tuple[int, ...]

    @property
    def unwitnessed(self) -> int | None:
        """The first line that no named witness vouches for yet; None where all are, or where none was named."""
        most = max((size for size, _ in self.witnessed.values()), default=None)
        return None if most is None or most >= self.lines else most


def judge(folder: Path, evidence: Evidence) -> Verdict:
    """Judge the ledger in ``folder`` against ``evidence``. Raises :class:`LedgerError` that names the line."""
    path = folder / "lines.jsonl"
    try:
        checkpoints = evidence.checkpoints()
        tree = verify(folder, checkpoints)
    except LedgerError as error:
        if error.code in _BY_CHECKPOINT and path.exists():
            raise _named(path, evidence, error) or error from None
        raise
    newest = evidence.newest_seen()
    witnessed = {name: (one.checkpoint.size, one.seen[name]) for name, one in sorted(newest.items())}
    return Verdict(tree.size, tree.root(), len(checkpoints), witnessed, _judge_dates(path, evidence))


def _named(path: Path, evidence: Evidence, found: LedgerError) -> LedgerError | None:
    """Return ``found`` with the very line, where a witness kept the hashes of lines; None where nobody did."""
    leaves = evidence.leaves_between(0, max(one.checkpoint.size for one in evidence.seen))
    unknown_since = 0
    for index, raw in enumerate(ledger_lines.read_lines(path)):
        published = leaves.get(index)
        if published is None:
            continue
        if published != merkle.leaf_hash(raw.removesuffix(b"\n")):
            line = f"line n={index}" if unknown_since == index else f"one of lines n={unknown_since} to n={index}"
            return LedgerError(
                found.code,
                f"{line} is not the one that the pole published: it was edited, re-dated, added or removed, and all "
                "chains after it redone",
                where=f"{path}: line {unknown_since + 1}",
                todo=f"keep this file as evidence, beside the witness's archive ({found.where})",
                clause="7.3(1)3",
            )
        unknown_since = index + 1
    return None


def _judge_dates(path: Path, evidence: Evidence) -> tuple[int, ...]:
    """Return lines dated before the one ahead. Raises E-LEDGER-DATED for a line dated after a witness had seen it."""
    due = sorted(((one.checkpoint.size, min(one.seen.values())) for one in evidence.seen if one.seen), reverse=True)
    backwards, before, latest, latest_index = list[int](), b"", b"", 0
    if not path.exists():
        return ()
    for index, raw in enumerate(ledger_lines.read_lines(path)):
        at = raw.find(_UTC) + len(_UTC)
        utc = raw[at : at + _UTC_BYTES]
        if utc < before and len(backwards) < _MOST_REMARKS:
            backwards.append(index)
        if utc > latest:
            latest, latest_index = utc, index
        before = utc
        while due and due[-1][0] == index + 1:
            _, seen_seconds = due.pop()
            limit = iso_utc((seen_seconds + TOLERANCE_SECONDS) * NS_PER_SECOND).encode()
            if latest > limit:
                raise _dated(path, latest_index, latest, seen_seconds)
    return tuple(backwards)


def _dated(path: Path, index: int, utc: bytes, seen_seconds: int) -> LedgerError:
    return LedgerError(
        "E-LEDGER-DATED",
        f"line n={index} is dated {utc.decode()}, but a witness had seen it at {iso_utc(seen_seconds * NS_PER_SECOND)}",
        where=f"{path}: line {index + 1}",
        todo="the pole's clock was ahead, or the line was dated so: dates near it prove nothing",
        clause="7.3(1)3",
    )
