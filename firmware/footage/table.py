"""The epoch table: which minutes can still be opened lawfully, and the one way a minute is erased for ever.

Knows:  generations of the table's file, two keystore slots, public halves of the coming hours.
Never:  a private half, an erased minute brought back, two secrets kept after a rewrite.
Leaves: exactly one generation whose secret exists.
Clauses: 7.1(3) (erased = no copy of any table opens it), 7.3(1)1, 7.3(1)3 (a crash loses nothing and revives nothing).

A rewrite, in this order: new secret into the spare slot; new table written, fsynced, opened again; old secret
overwritten; old file removed. ``load`` finishes whichever half a crash left. Until the old secret is overwritten the
old table is the truth, or the new one if it opens entirely: both hold every minute that was not due.

All calls are made under the pole's lock.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from firmware.footage.epochs import (
    MINUTES_AN_HOUR,
    Header,
    Run,
    RunKind,
    TableFile,
    minutes_map,
    peek,
    runs_of,
    write_table,
)
from firmware.footage.ports import SECRET_BYTES, Keystore, MintedEpoch, SecretSlot
from firmware.footage.store import store_errors
from firmware.ground.clock import MinuteNumber
from firmware.ground.durable import remove_file
from firmware.ground.errors import KeystoreError, StoreError

_NAME: Final = re.compile(r"epochs-(?P<generation>[1-9][0-9]{0,17})\.table")

Kept = Literal["nothing", "only", "old", "new"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What ``load`` found: which generation it kept, and the epochs none of whose secrets exists any more.

    ``refused``: generations of other files that no secret opens (an old copy put back, or one that a crash left).
    """

    kept: Kept
    generation: int
    dead: tuple[MinuteNumber, ...] = ()
    refused: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a rewrite did; the same runs stand in the table's header, so that a crash cannot lose them."""

    generation: int
    runs: tuple[Run, ...]
    table_bytes: int


class EpochTable:
    """The table in ``folder`` (``epochs-<generation>.table``) under ``keystore``. Call :meth:`load` first."""

    def __init__(self, folder: Path, keystore: Keystore) -> None:
        self._folder = folder
        self._keystore = keystore
        self._header: Header | None = None
        self._newest = 0
        self._dead: set[MinuteNumber] = set()
        self._interrupted = True
        self._recipients: dict[MinuteNumber, str] = {}

    @property
    def generation(self) -> int:
        """The generation in force; 0 before the first rewrite."""
        return self._header.generation if self._header else 0

    @property
    def keystore_name(self) -> Literal["software", "tpm2"]:
        """Which keystore holds the secret."""
        return self._keystore.name

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`load` must be called before the next rewrite: never called, or a rewrite failed half way."""
        return self._interrupted

    @property
    def dead(self) -> frozenset[MinuteNumber]:
        """Epochs whose keys are lost with their table's secret, until the next rewrite has said so."""
        return frozenset(self._dead)

    def epochs(self) -> list[MinuteNumber]:
        """Return every epoch that has a key, in order, coming ones included."""
        return self._header.epochs() if self._header else []

    def runs(self) -> tuple[Run, ...]:
        """Return what the last rewrite did, as its header tells."""
        return self._header.runs if self._header else ()

    def recipient_of(self, epoch: MinuteNumber) -> str | None:
        """Return the public half (``age1...``) of a present or coming epoch; None where there is none (yet)."""
        return self._recipients.get(epoch)

    async def sealed_identity(self, epoch: MinuteNumber) -> bytes:
        """Return age(group A, age(group B, identity)) of ``epoch``. Raises KeystoreError: E-KEY-GONE, E-KEY-BLOCK."""
        found = await self.sealed_identities([epoch])
        if epoch not in found:
            raise KeystoreError(
                "E-KEY-GONE",
                "there is no key for this minute (any more)",
                where=f"epoch {epoch}",
                todo="nothing can bring it back; the ledger says when it was erased",
                clause="7.1(3)",
            )
        return found[epoch]

    async def sealed_identities(self, epochs: Collection[MinuteNumber]) -> dict[MinuteNumber, bytes]:
        """Return :meth:`sealed_identity` of those of ``epochs`` that have a key; the secret is asked for once."""
        header, wanted = self._header, set(epochs)
        hours = {epoch // MINUTES_AN_HOUR for epoch in wanted} & set(header.minutes if header else ())
        if header is None or not hours:
            return {}
        table = await self._open(header.generation)
        found: dict[MinuteNumber, bytes] = {}
        for hour in sorted(hours):
            entries = await asyncio.to_thread(table.read_hour, hour)
            found |= {entry.epoch: entry.sealed_identity for entry in entries if entry.epoch in wanted}
        return found

    async def load(self, coming_from: MinuteNumber, *, repair: bool = True, accept_loss: bool = False) -> Loaded:
        """Find the generation in force and finish what a crash left half done (only if ``repair``).

        Recipients of epochs from ``coming_from`` on are kept in memory. Raises KeystoreError when the keystore cannot
        be read: then nothing is judged lost. Where no secret opens any file it raises E-KEY-LOST, because a wrong TCTI
        or a swapped disk looks the same; with ``accept_loss`` those epochs are ``dead`` and the next rewrite names them
        lost.
        """
        files = await asyncio.to_thread(self._files)
        good: list[TableFile] = []
        headers: dict[int, Header] = {}
        for generation in sorted(files, reverse=True):
            try:
                headers[generation] = await asyncio.to_thread(peek, files[generation])
                good.append(await self._open(generation))
            except KeystoreError as error:
                if error.code != "E-KEY-TABLE":
                    raise
        chosen = await asyncio.to_thread(_choose, good)
        if files and not chosen and not accept_loss:
            raise _lost(self._folder, self._keystore.name)
        self._header = chosen.header if chosen else None
        self._newest = max(files, default=0)
        self._dead = set() if chosen else {epoch for header in headers.values() for epoch in header.epochs()}
        if repair and chosen:
            await self._finish(chosen)
            self._newest = chosen.header.generation
        self._recipients = await asyncio.to_thread(_recipients, chosen, coming_from)
        self._interrupted = not repair
        kept: Kept = "nothing"
        if chosen:
            newer = max(files) == chosen.header.generation
            kept = "only" if len(files) == 1 else "new" if newer else "old"
        opened = {table.header.generation for table in good}
        refused = tuple(sorted(set(files) - opened)) if chosen else ()
        return Loaded(kept, self.generation, tuple(sorted(self._dead)), refused)

    async def rewrite(
        self,
        drop: Collection[MinuteNumber],
        fresh: Sequence[MintedEpoch],
        coming_from: MinuteNumber,
        *,
        early: bool = False,
    ) -> Rewritten:
        """Write the next generation without ``drop`` and with ``fresh``, and destroy the secret of this one.

        ``early``: the drop makes room on the disk before its time. Raises KeystoreError or StoreError; the table in
        force is then the old one or the new one, entire, and only :meth:`load` can tell which: until it was called,
        :attr:`interrupted` is true and another rewrite raises RuntimeError.
        """
        if self._interrupted:
            message = "load the table first"
            raise RuntimeError(message)
        old = await self._open(self._header.generation) if self._header else None
        kind = RunKind.ERASED_EARLY if early else RunKind.ERASED
        header = await asyncio.to_thread(self._plan, old, set(drop), fresh, kind)
        secret = os.urandom(SECRET_BYTES)
        path = self._path(header.generation)
        self._interrupted = True
        await self._keystore.write_secret(header.slot, secret)
        try:
            blocks = functools.partial(_block, old, _by_hour(fresh), header.minutes)
            await asyncio.to_thread(write_table, path, header, secret, blocks)
        except OSError as error:
            raise StoreError(
                "E-STORE-TABLE",
                f"cannot write the epoch table: {error.strerror}",
                where=str(path),
                todo="free or replace the disk; the old table is still in force",
                clause="7.1(3)",
            ) from None
        finally:
            del secret
        table = await self._verified(header.generation)
        if old:
            await self._keystore.erase_secret(old.header.slot)  # 7.1(3): from here on no older copy opens
        self._header = table.header
        self._newest, self._dead = header.generation, set()
        self._recipients = await asyncio.to_thread(_recipients, table, coming_from)
        await asyncio.to_thread(self._remove_others, header.generation)
        self._interrupted = False
        return Rewritten(header.generation, header.runs, path.stat().st_size)

    # ---- inside

    def _plan(
        self, old: TableFile | None, drop: set[MinuteNumber], fresh: Sequence[MintedEpoch], kind: RunKind
    ) -> Header:
        before = set(old.header.epochs()) if old else set()
        bad_hours = set(old.damaged_hours()) if old else set()
        lost = {epoch for epoch in before if epoch // MINUTES_AN_HOUR in bad_hours}
        new = {entry.epoch for entry in fresh}
        if len(new) != len(fresh) or new & before:
            message = "an epoch has one pair for ever; a second one would split its minute"
            raise ValueError(message)
        gone = (before - lost) & drop
        runs = (
            *runs_of(RunKind.CREATED, new),
            *runs_of(kind, gone),
            *runs_of(RunKind.LOST, lost),
            *runs_of(RunKind.SECRET_MISSING, self._dead - new),
        )
        slot: SecretSlot = 1 if old and old.header.slot == 0 else 0
        return Header(self._newest + 1, slot, os.urandom(16), runs, minutes_map((before - lost - gone) | new))

    async def _verified(self, generation: int) -> TableFile:
        """Read the new table back with the secret as the keystore gives it, before the old one is destroyed."""
        try:
            table = await self._open(generation)
            damaged = await asyncio.to_thread(table.damaged_hours)
        except KeystoreError:
            damaged = [-1]
        if damaged:
            await asyncio.to_thread(remove_file, self._path(generation))
            raise KeystoreError(
                "E-KEY-VERIFY",
                "the new epoch table did not open again; the old one stays in force",
                where=str(self._path(generation)),
                todo="check the disk and the keystore; erasing is tried again in a minute",
                clause="7.1(3)",
            )
        return table

    async def _open(self, generation: int) -> TableFile:
        path = self._path(generation)
        slot = (await asyncio.to_thread(peek, path)).slot
        secret = await self._keystore.read_secret(slot)
        if secret is None:
            raise KeystoreError(
                "E-KEY-TABLE", "its secret was destroyed", where=str(path), todo="nothing opens it again"
            )
        return await asyncio.to_thread(TableFile, path, secret)

    async def _finish(self, chosen: TableFile) -> None:
        """Bring keystore and folder to the one generation in force: secrets first, then names."""
        spare: SecretSlot = 0 if chosen.header.slot == 1 else 1
        if await self._keystore.read_secret(spare) is not None:
            await self._keystore.erase_secret(spare)  # 7.1(3)
        await asyncio.to_thread(self._remove_others, chosen.header.generation)

    def _remove_others(self, generation: int) -> None:
        files = self._files()
        with store_errors("E-STORE-WRITE", self._folder):
            for other, path in files.items():
                if other != generation:
                    remove_file(path)
            for part in self._folder.glob("epochs-*.table.part"):
                remove_file(part)

    def _files(self) -> dict[int, Path]:
        found = {}
        with store_errors("E-STORE-READ", self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._folder.iterdir():
                match = _NAME.fullmatch(path.name)
                if match:
                    found[int(match["generation"])] = path
        return found

    def _path(self, generation: int) -> Path:
        return self._folder / f"epochs-{generation}.table"


def _lost(folder: Path, keystore: str) -> KeystoreError:
    return KeystoreError(
        "E-KEY-LOST",
        f"no secret in the {keystore} keystore opens an epoch table that is there",
        where=str(folder),
        todo="check tcti and whether this disk is this pole's; if the TPM was replaced, accept the loss explicitly",
        clause="7.3(1)1",
    )


def _choose(tables: Sequence[TableFile]) -> TableFile | None:
    """Return the newest table that opens entirely, else the newest whose header is true (its damage is told later)."""
    if len(tables) > 1:
        for table in tables:
            if not table.damaged_hours():
                return table
    return tables[0] if tables else None


def _recipients(table: TableFile | None, coming_from: MinuteNumber) -> dict[MinuteNumber, str]:
    found: dict[MinuteNumber, str] = {}
    for hour in table.header.minutes if table else ():
        if table and hour >= coming_from // MINUTES_AN_HOUR:
            try:
                entries = table.read_hour(hour)
            except KeystoreError:
                continue  # its minutes are told lost by the next rewrite; nothing is recorded to them meanwhile
            found |= {entry.epoch: entry.recipient for entry in entries if entry.epoch >= coming_from}
    return found


def _by_hour(fresh: Iterable[MintedEpoch]) -> dict[int, list[MintedEpoch]]:
    hours: dict[int, list[MintedEpoch]] = {}
    for entry in fresh:
        hours.setdefault(entry.epoch // MINUTES_AN_HOUR, []).append(entry)
    return hours


def _block(
    old: TableFile | None, fresh: Mapping[int, list[MintedEpoch]], minutes: Mapping[int, int], hour: int
) -> list[MintedEpoch]:
    """Return what the new table keeps of ``hour``: old entries that were not dropped, and new ones."""
    kept = old.read_hour(hour) if old and hour in old.header.minutes and not _is_lost(old, hour, minutes) else ()
    entries = [*kept, *fresh.get(hour, [])]
    return [entry for entry in entries if minutes[hour] >> entry.epoch % MINUTES_AN_HOUR & 1]


def _is_lost(old: TableFile, hour: int, minutes: Mapping[int, int]) -> bool:
    return not old.header.minutes[hour] & minutes[hour]
