"""The check at boot: what lies in the store, what does not fit, and what was done about it.

Knows:  names, sizes, hashes, manifests, which epochs have a key.
Never:  a file it does not understand removed, a damaged chunk counted as good, a finding kept to itself.
Leaves: findings for the ledger; damaged files set aside; recovered manifests for minutes a crash left without one.
Clauses: 7.3(1)3 (every stored chunk is accounted for, before and after a crash).

Blocks; call it off the loop. Every name and size is looked at; hashing the whole store would read hundreds of
gigabytes, so only the epochs from ``hash_from`` on are read (a crash can only have touched the newest).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from firmware.footage.manifest import ChunkEntry, ClockEntry, Manifest, Origin
from firmware.footage.store import CHUNK_NAME, DAMAGED, HOUR_NAME, MANIFEST_NAME, Store, is_age_file, store_errors
from firmware.footage.untold import NEWEST
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import StoreError

_OURS: Final = re.compile(rf"{DAMAGED}|clock\.ratchet|epochs-[1-9][0-9]*\.table")


@dataclass(slots=True)
class Findings:
    """What a check found. Every list is in order of time.

    ``keyless``: epochs with files but without a key (an erasure that a crash interrupted: the caller finishes it);
    ``recovered``: ``(epoch, manifest SHA-256)`` written anew; ``damaged``: ``(epoch, sequence)`` of chunks that are
    missing or not what their manifest says, or lie beside an old minute that tells of no such chunk;
    ``bad_manifests``: epochs whose manifest was unreadable.
    """

    removed_parts: int = 0
    unlisted: int = 0
    keyless: list[MinuteNumber] = field(default_factory=list)
    recovered: list[tuple[MinuteNumber, str]] = field(default_factory=list)
    damaged: list[tuple[MinuteNumber, int]] = field(default_factory=list)
    bad_manifests: list[MinuteNumber] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing at all was out of order."""
        return self == Findings()


@dataclass(frozen=True, slots=True)
class Checker:
    """One check of ``store``. ``keyed``: epochs that have a key; ``clock``: for recovered manifests."""

    store: Store
    keyed: Collection[MinuteNumber]
    origin: Origin
    clock: ClockEntry
    hash_from: MinuteNumber
    on_damage: Callable[[MinuteNumber, int], None]
    """Called before a damaged chunk is set aside, so that the ledger has it first."""

    def check(self) -> Findings:
        """Look at everything; raises StoreError only where the disk fails."""
        findings = Findings()
        with store_errors("E-STORE-READ", self.store.folder):
            self._clear_top(findings)
            newest = set(self.store.recorded()[-NEWEST:])
            for hour in self.store.hours():
                for epoch, sizes in sorted(self._hour(hour, findings).items()):
                    if epoch in self.keyed:
                        self._epoch(epoch, sizes, findings, adopting=epoch in newest)
                    else:
                        findings.keyless.append(epoch)
        return findings

    def _clear_top(self, findings: Findings) -> None:
        for entry in os.scandir(self.store.folder):
            if entry.name.endswith(".part"):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108  # a DirEntry has no Path
                findings.removed_parts += 1
            elif not (HOUR_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)):
                findings.unlisted += not _OURS.fullmatch(entry.name)

    def _hour(self, hour: int, findings: Findings) -> dict[MinuteNumber, dict[int, int]]:
        """Return ``{epoch: {sequence: bytes}}`` of one hour's folder; an epoch with only a manifest has ``{}``."""
        found: dict[MinuteNumber, dict[int, int]] = {}
        for entry in os.scandir(self.store.folder / str(hour)):
            chunk, manifest = CHUNK_NAME.fullmatch(entry.name), MANIFEST_NAME.fullmatch(entry.name)
            match = chunk or manifest
            if entry.name.endswith(".part"):
                os.unlink(entry.path)  # noqa: PTH108  # a DirEntry has no Path
                findings.removed_parts += 1
            elif match is None or int(match["epoch"]) // 60 != hour or not entry.is_file(follow_symlinks=False):
                findings.unlisted += 1
            else:
                sizes = found.setdefault(MinuteNumber(int(match["epoch"])), {})
                if chunk:
                    sizes[int(chunk["sequence"])] = entry.stat(follow_symlinks=False).st_size
        return found

    def _epoch(self, epoch: MinuteNumber, sizes: dict[int, int], findings: Findings, *, adopting: bool) -> None:
        manifest = self._manifest(epoch, findings)
        listed = {chunk.sequence: chunk for chunk in manifest.chunks} if manifest else {}
        bad = [sequence for sequence in listed if self._is_bad(epoch, listed[sequence], sizes)]
        unlisted = [sequence for sequence in sizes if sequence not in listed]
        if manifest and not adopting:
            self._set_strangers_aside(epoch, unlisted, findings)
            sizes = {sequence: size for sequence, size in sizes.items() if sequence in listed}
            unlisted = []
        bad += [sequence for sequence in unlisted if not self._is_age(epoch, sequence)]
        for sequence in sorted(bad):
            self._set_chunk_aside(epoch, sequence, findings, there=sequence in sizes)
        if bad or unlisted or manifest is None:
            if manifest and bad:
                self.store.set_aside(self.store.manifest_path(epoch))
            good = sorted((set(sizes) | set(listed)) - set(bad))
            entries = tuple(listed.get(sequence) or self._adopted(epoch, sequence, sizes) for sequence in good)
            findings.recovered.append((epoch, self._write(epoch, entries, manifest)))

    def _set_strangers_aside(self, epoch: MinuteNumber, sequences: Iterable[int], findings: Findings) -> None:
        """Refuse chunks that came beside a minute long sealed: they must gain no line that vouches for them.

        No crash left them there, and whoever knows the minute's public half can make them.
        """
        for sequence in sorted(sequences):
            self._set_chunk_aside(epoch, sequence, findings, there=True)

    def _set_chunk_aside(self, epoch: MinuteNumber, sequence: int, findings: Findings, *, there: bool) -> None:
        self.on_damage(epoch, sequence)  # 7.3(1)3: said first, done second
        findings.damaged.append((epoch, sequence))
        if there:
            self.store.set_aside(self.store.chunk_path(epoch, sequence))

    def _manifest(self, epoch: MinuteNumber, findings: Findings) -> Manifest | None:
        try:
            return self.store.manifest(epoch)
        except StoreError as error:
            if error.code != "E-STORE-MANIFEST":
                raise
            findings.bad_manifests.append(epoch)
            self.store.set_aside(self.store.manifest_path(epoch))
            return None

    def _is_bad(self, epoch: MinuteNumber, chunk: ChunkEntry, sizes: dict[int, int]) -> bool:
        if sizes.get(chunk.sequence) != chunk.ciphertext_bytes:
            return True
        return epoch >= self.hash_from and self.store.hash_chunk(epoch, chunk.sequence) != chunk.sha256

    def _is_age(self, epoch: MinuteNumber, sequence: int) -> bool:
        try:
            return is_age_file(self.store.chunk_path(epoch, sequence))
        except OSError:
            return False

    def _adopted(self, epoch: MinuteNumber, sequence: int, sizes: dict[int, int]) -> ChunkEntry:
        digest = self.store.hash_chunk(epoch, sequence)
        return ChunkEntry(sequence=sequence, ciphertext_bytes=sizes[sequence], sha256=digest)

    def _write(self, epoch: MinuteNumber, chunks: tuple[ChunkEntry, ...], before: Manifest | None) -> str:
        return self.store.write_manifest(
            Manifest(
                origin=before.origin if before else self.origin,
                epoch=epoch,
                recovered=True,
                chunks=chunks,
                gaps=before.gaps if before else (),
                clock=before.clock if before else self.clock,
            )
        )
