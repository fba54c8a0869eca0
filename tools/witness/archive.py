"""What a witness keeps of one pole: a folder that only grows.

<archive>/<origin with _ for />/
    1/ 2/ ...                       one history each; a person opens the next one (see ``Archive.restart``)
        accepted/<size>.note        the pole's checkpoint with our cosignature
        accepted/<size>.growth      what showed that it only added lines
        waiting/<size>-<root>.note  signed by the pole, larger than the last accepted one, not shown to contain it
        evidence/<size>-<root>-<finding>.note  (and .growth)
    log.jsonl                       when what was found
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from firmware.ground import growth as growths
from firmware.ground import ledger_lines, merkle, note
from firmware.ground.clock import NS_PER_SECOND, Clock, iso_utc
from firmware.ground.durable import sync_folder, write_file
from firmware.ground.growth import Growth
from firmware.ground.note import Checkpoint, Verifier
from tools.witness.judge import ACCEPTED, ALARMS, Finding, Shown, judge, read
from tools.witness.key import WitnessSigner

_ROOMS: Final = ("accepted", "waiting", "evidence")
_MOST_EVIDENCE: Final = 1000


class Archive:
    """One pole's folder. ``key`` is the pole's, ``signer`` the witness's."""

    def __init__(self, folder: Path, key: Verifier, signer: WitnessSigner, clock: Clock) -> None:
        self.pole = key.name
        self.folder = folder / key.name.replace("/", "_")
        self._key = key
        self._signer = signer
        self._clock = clock
        histories = [int(path.name) for path in self.folder.glob("[1-9]*") if path.name.isdecimal()]
        self.history = max(histories, default=0)
        if not self.history:
            self._open_history(1)

    @property
    def here(self) -> Path:
        """The history in force."""
        return self.folder / str(self.history)

    def take(self, text: str) -> Finding:
        """Judge a message, keep it, cosign it if it is good; the same message twice changes nothing.

        Raises :class:`LedgerError` for what is no such message at all, OSError where it cannot be kept.
        """
        shown = read(text, where=self.pole)
        newest = self.newest()
        finding = judge(shown, self._key, newest, self.accepted, self.growth(newest.size) if newest else None)
        kept = self._keep(finding, shown, text)
        if finding in ACCEPTED:
            self._look_at_waiting()
        if kept:
            self._log(finding, shown.checkpoint)
        return finding

    def newest(self) -> Checkpoint | None:
        """Return the last accepted checkpoint."""
        sizes = self.sizes()
        return self.accepted(sizes[-1]) if sizes else None

    def sizes(self) -> list[int]:
        """Return the sizes of all accepted checkpoints, rising."""
        return sorted(int(path.stem) for path in _notes(self.here / "accepted"))

    def accepted(self, size: int) -> Checkpoint | None:
        """Return the accepted checkpoint of ``size``."""
        path = self._accepted(size, "note")
        return note.parse_checkpoint(path.read_text("utf-8"), where=str(path)) if path.exists() else None

    def cosigned(self, size: int) -> str:
        """Return the accepted checkpoint of ``size`` with both signatures."""
        return self._accepted(size, "note").read_text("utf-8")

    def growth(self, size: int) -> Growth | None:
        """Return what came with the accepted checkpoint of ``size``."""
        for path in (self.here / "newest.growth", self._accepted(size, "growth")):
            told = growths.parse(path.read_text("utf-8"), where=str(path)) if path.exists() else None
            if told is not None and told.checkpoint.size == size:
                return told
        return None

    def waiting(self) -> list[Path]:
        """Return the checkpoints that still lack a proof: those that are larger than the last accepted one."""
        newest = self.newest()
        return [path for path in _notes(self.here / "waiting") if newest is None or _size(path) > newest.size]

    def evidence(self) -> list[Path]:
        """Return the checkpoints that contradict or deny what was accepted, of every history."""
        denied = [path for path in self.waiting() if path.stem.endswith(f"-{Finding.DENIED}")]
        kept = [path for history in sorted(self.folder.glob("[1-9]*")) for path in _notes(history / "evidence")]
        return kept + denied

    def seen_utc_seconds(self, size: int) -> int | None:
        """Return when the accepted checkpoint of ``size`` was cosigned here."""
        return self._signer.public.seen_utc_seconds(self.cosigned(size), where=self.pole)

    def prove_with(self, lines: Path) -> Finding | None:
        """Accept the largest waiting checkpoint with the help of the ledger itself, handed over by an auditor.

        Returns GREW, or FORKED when the ledger has not both checkpoints in it; None when nothing waits.
        """
        newest, waiting = self.newest(), self.waiting()
        if newest is None or not waiting:
            return None
        shown = read(waiting[-1].read_text("utf-8"), where=str(waiting[-1]))
        wanted = {newest.size: newest.root, shown.checkpoint.size: shown.checkpoint.root}
        tree, finding = merkle.Tree(), Finding.GREW
        for raw in ledger_lines.read_lines(lines):
            tree.append(merkle.leaf_hash(raw.removesuffix(b"\n")))
            if wanted.get(tree.size, b"") and wanted.pop(tree.size) != tree.root():
                finding = Finding.FORKED
            if not wanted:
                break
        finding = Finding.FORKED if wanted else finding
        self._keep(finding, shown, shown.signed)
        self._log(finding, shown.checkpoint)
        return finding

    def restart(self, because: str) -> int:
        """Open the next history: a person has decided that this pole's ledger was lawfully begun anew."""
        self._open_history(self.history + 1)
        self._append({"utc": self._now(), "finding": "restarted", "history": self.history, "because": because})
        return self.history

    # ---- inside

    def _open_history(self, number: int) -> None:
        for room in _ROOMS:
            (self.folder / str(number) / room).mkdir(parents=True, exist_ok=True)
        sync_folder(self.folder / str(number))
        sync_folder(self.folder)
        self.history = number

    def _keep(self, finding: Finding, shown: Shown, text: str) -> bool:
        """Write what is new, durably; tell whether anything was."""
        size, name = shown.checkpoint.size, f"{shown.checkpoint.size:012d}-{shown.checkpoint.root.hex()[:16]}"
        if finding in (Finding.KNOWN, Finding.OLD):
            if shown.growth is None or self._accepted(size, "growth").exists():
                return finding is Finding.OLD
            self._keep_growth(shown.growth)
            return False
        if finding in ALARMS or finding is Finding.WAITING:
            room = "waiting" if finding in (Finding.WAITING, Finding.DENIED) else "evidence"
            path = self.here / room / f"{name}{'' if finding is Finding.WAITING else f'-{finding}'}.note"
            if path.exists() or (finding is Finding.FALSE and len(_notes(self.here / room)) >= _MOST_EVIDENCE):
                return False  # who can only shout at the broker shall not fill our disk
            if shown.growth is not None:
                write_file(path.with_suffix(".growth"), text.encode())
            write_file(path, shown.signed.encode())
            return True
        if shown.growth is not None:
            self._keep_growth(shown.growth)
        now = self._clock.utc_ns() // NS_PER_SECOND
        told = shown.signed if finding is Finding.LATE else self._signer.cosign(shown.signed, now, where=self.pole)
        write_file(self._accepted(size, "note"), told.encode())
        return True

    def _keep_growth(self, growth: Growth) -> None:
        newest, size = self.newest(), growth.checkpoint.size
        if newest is None or size >= newest.size:
            write_file(self.here / "newest.growth", growth.text().encode())
        short = growth.shortened(newest.size if newest else 0)
        write_file(self._accepted(size, "growth"), short.text().encode())

    def _look_at_waiting(self) -> None:
        """Judge again what waited for a proof, now that there is a newer one."""
        for path in _notes(self.here / "waiting"):
            if self._accepted(_size(path), "note").exists():
                continue
            newest = self.newest()
            if newest is None or _size(path) > newest.size:
                continue
            shown = read(path.read_text("utf-8"), where=str(path))
            finding = judge(shown, self._key, newest, self.accepted, self.growth(newest.size))
            if finding in (Finding.LATE, Finding.FORKED) and self._keep(finding, shown, shown.signed):
                self._log(finding, shown.checkpoint)

    def _accepted(self, size: int, kind: str) -> Path:
        return self.here / "accepted" / f"{size:012d}.{kind}"

    def _log(self, finding: Finding, checkpoint: Checkpoint) -> None:
        self._append(
            {"utc": self._now(), "finding": str(finding), "size": checkpoint.size, "root": checkpoint.root.hex()}
        )

    def _append(self, row: dict[str, str | int]) -> None:
        descriptor = os.open(self.folder / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(row).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _now(self) -> str:
        return iso_utc(self._clock.utc_ns())


def compare(first: Archive, second: Archive) -> list[int]:
    """Return the sizes at which two witnesses were shown different ledgers of one pole: proof of a fork."""
    both = set(first.sizes()) & set(second.sizes())
    return [size for size in sorted(both) if first.accepted(size) != second.accepted(size)]


def contradictions(first: Archive, second: Archive) -> list[tuple[int, int]]:
    """Return pairs of sizes (of the first, of the second) that one's proofs show to be of different ledgers."""
    found = [(size, size) for size in compare(first, second)]
    for mine, other in ((first, second), (second, first)):
        for size in mine.sizes():
            growth = mine.growth(size)
            for old in growth.proofs if growth else ():
                seen = other.accepted(old)
                if growth and seen is not None and growth.grew_from(seen) is False:
                    found.append((size, old) if mine is first else (old, size))
    return sorted(set(found))


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.note"))


def _size(path: Path) -> int:
    return int(path.name.split("-")[0])
