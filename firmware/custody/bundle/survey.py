"""What of the asked minutes is still there, and for what is not: why, and by which line of the ledger.

Knows:  epochs that still have a key, manifests, the ledger's lines.
Never:  a chunk's content.
Leaves: minutes that can be handed out with the line that proves each; runs of minutes that cannot.
Clauses: 7.1(3) (gone is gone), 7.2(1) (exactly the minutes asked for), 7.3(1)3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from firmware.custody.bundle.index import Missing, WhyMissing
from firmware.custody.bundle.span import Span
from firmware.footage import manifest as manifests
from firmware.footage.manifest import Manifest
from firmware.footage.store import Store
from firmware.ground.clock import MinuteNumber
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Line

ERASING: Final[dict[str, WhyMissing]] = {
    "epochs.erased": "erased",
    "epochs.dropped_early": "dropped_early",
    "epochs.lost": "lost",
}


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute that can be handed out: its manifest as it lies on the disk, and the ledger's line with its hash."""

    epoch: MinuteNumber
    manifest: Manifest
    manifest_bytes: bytes
    line: Line


@dataclass(frozen=True, slots=True)
class Survey:
    """All minutes that were asked for, each either in ``minutes`` or in a run of ``missing``."""

    minutes: tuple[Minute, ...]
    missing: tuple[Missing, ...]

    @property
    def missing_epochs(self) -> int:
        """How many minutes are missing."""
        return sum(run.last_epoch - run.first_epoch + 1 for run in self.missing)


def survey(
    spans: Sequence[Span],
    with_key: Collection[MinuteNumber],
    expired: Collection[MinuteNumber],
    store: Store,
    ledger: Ledger,
) -> Survey:
    """Judge every minute of ``spans``; ``expired`` ones are gone, whatever still lies on the disk (7.1(3)).

    Reads the ledger. Raises StoreError for a disk that cannot be read.
    """
    sealed = dict[tuple[int, str], Line]()
    numbers = sorted({number for span in spans for number in span.minutes})
    for line in ledger.lines("minute.sealed", range(numbers[0], numbers[-1] + 1)):
        sealed[int(line.fields["epoch"]), str(line.fields["manifest"])] = line
    good, bad = list[Minute](), dict[int, WhyMissing]()
    for number in numbers:
        epoch = MinuteNumber(number)
        if epoch not in with_key:
            on_disk = store.manifest_bytes(epoch) is not None or store.sequences(epoch)
            minute: Minute | WhyMissing = "erased" if on_disk else "not_recorded"  # or erased: the ledger tells
        else:
            minute = "expired" if epoch in expired else _judge(epoch, store, sealed)
        if isinstance(minute, Minute):
            good.append(minute)
        else:
            bad[number] = minute
    keyless = {"erased", "not_recorded"} & set(bad.values())
    return Survey(tuple(good), runs(bad, _erasures(ledger) if keyless else []))


def runs(bad: dict[int, WhyMissing], erasures: Iterable[Line]) -> tuple[Missing, ...]:
    """Return missing minutes as runs alike in reason and line. A minute without a key was erased if a line says so."""
    lines = list(erasures)
    found = list[Missing]()
    for epoch, reason in sorted(bad.items()):
        line = _covering(epoch, lines) if reason in ("erased", "not_recorded") else None
        run = Missing(
            first_epoch=epoch,
            last_epoch=epoch,
            reason=ERASING[line.event] if line else reason,
            ledger_line=line.index if line else None,
            ledger_utc=line.utc if line else None,
        )
        before = found[-1] if found and found[-1].last_epoch == epoch - 1 else None
        if before and (before.reason, before.ledger_line) == (run.reason, run.ledger_line):
            run = msgspec.structs.replace(found.pop(), last_epoch=epoch)
        found.append(run)
    return tuple(found)


def _judge(epoch: MinuteNumber, store: Store, sealed: dict[tuple[int, str], Line]) -> Minute | WhyMissing:
    data = store.manifest_bytes(epoch)
    if data is None:
        return "not_sealed" if store.sequences(epoch) else "not_recorded"
    line = sealed.get((epoch, hashlib.sha256(data).hexdigest()))
    try:
        manifest = manifests.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return "damaged"
    if line is None or manifest.epoch != epoch:
        return "damaged"
    return Minute(epoch, manifest, data, line)


def _erasures(ledger: Ledger) -> list[Line]:
    return [line for event in ERASING for line in ledger.lines(event)]


def _covering(epoch: int, lines: Iterable[Line]) -> Line | None:
    """Return the latest line that erased ``epoch``."""
    covering = [line for line in lines if int(line.fields["first_epoch"]) <= epoch <= int(line.fields["last_epoch"])]
    return max(covering, key=lambda line: line.index, default=None)
