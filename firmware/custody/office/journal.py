"""The journal: acts and their signatures on the disk, in force from the ledger's line on.

Knows:  the ledger, the folder of acts, the port that verifies signatures, the pole's lock.
Never:  an act in force without its line, a line believed without its act and the signatures under it, a private half.
Leaves: the register; ``acts/000012.act`` with its signatures; one ledger event an act.
Clauses: 7.3(1)2, 7.3(1)3, 7.2(1), 5.1(1).

The act is written first and durably, then the ledger's line: that line is the one moment at which an act takes effect.
A power cut before it leaves files that no line tells of: they are set aside when the journal is opened next. Every
opening reads all lines and judges each act anew (hash, signatures by the keys of that time, authority, rules), without
any memory of former verdicts on the disk: who could forge an act there could forge such a memory too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from firmware.custody.office import acts
from firmware.custody.office.act_files import ActFiles
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.register import Register, decide, name_of
from firmware.custody.office.signatures import Signatures
from firmware.custody.office.telling import line_of
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import CaseError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Line, Place
from firmware.ground.ledger_office import OFFICE_EVENTS
from firmware.ground.lock import PoleLock

_MARK: Final = b',"act":"'
"""What stands in each line about an act."""

Instant = Callable[[], tuple[int, bool]]
"""Gives the instant by which acts are judged (UTC ns) and whether the clock is proven."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An act that took effect: when (UTC ns), signed by whom, told in which line of the ledger."""

    number: int
    act: AnyAct
    signers: tuple[str, ...]
    at_ns: int
    proven: bool
    line: int


class Journal:
    """One pole's acts. Make it with :meth:`open`. ``aside``: files of acts that never took effect, moved just now."""

    def __init__(
        self, folder: Path, pole: str, ledger: Ledger, lock: PoleLock, signatures: Signatures, instant: Instant
    ) -> None:
        self.register = Register(pole)
        self.entries: tuple[Entry, ...] = ()
        self.aside: tuple[Path, ...] = ()
        self._files = ActFiles(folder)
        self._ledger = ledger
        self._lock = lock
        self._signatures = signatures
        self._instant = instant
        self._place = Place()

    @classmethod
    async def open(
        cls, folder: Path, pole: str, ledger: Ledger, lock: PoleLock, signatures: Signatures, instant: Instant
    ) -> Journal:
        """Read all acts that the ledger tells of and judge them; ``folder`` is ``<state>/custody/acts``.

        Raises :class:`CaseError` naming the ledger's line: E-OFFICE-MISSING, E-OFFICE-EDITED, E-OFFICE-FORGED,
        E-OFFICE-LEDGER; E-OFFICE-LOST where the ledger lost lines that acts on the disk once had.
        """
        journal = cls(folder, pole, ledger, lock, signatures, instant)
        await journal._catch_up()  # the long part, without the lock
        await lock.during(journal.refresh())
        return journal

    async def refresh(self) -> None:
        """Take in what another process did, set aside what never took effect. The caller holds the pole's lock."""
        await asyncio.to_thread(self._ledger.refresh)
        await self._catch_up()
        beyond = await asyncio.to_thread(self._files.beyond, self.register.number)
        if len(beyond) > 1:
            raise CaseError(
                "E-OFFICE-LOST", f"no line of the ledger tells of acts {beyond[0]} to {beyond[-1]} on the disk",
                where=str(self._files.folder),
                todo="compare the ledger with its predecessor beside it and with the checkpoints held outside the pole",
                clause="7.3(1)3",
            )  # fmt: skip
        for number in beyond:
            self.aside += await asyncio.to_thread(self._files.set_aside, number)

    async def submit(self, data: bytes, given: Mapping[str, bytes], bases: LegalBases | None = None) -> Entry:
        """Do the act in ``data`` (canonical bytes), signed by ``given`` (account -> signature, first who drew it up).

        Returns once it would survive a power cut. Raises :class:`CaseError` (what :func:`decide` raises,
        E-OFFICE-BYTES, E-OFFICE-FORGED), StoreError, LedgerError; nothing was done then.
        """
        return await self._lock.during(self.submit_locked(data, given, bases))

    async def submit_locked(self, data: bytes, given: Mapping[str, bytes], bases: LegalBases | None = None) -> Entry:
        """Do the same for a caller that holds the pole's lock, to do more under it."""
        await self.refresh()
        act = decoded(data)
        now_ns, proven = self._instant()
        now_ns -= now_ns % NS_PER_SECOND
        await self._judge_signatures(act, data, given)
        after = decide(self.register, act, list(given), now_ns, proven=proven, bases=bases)
        fields = line_of(act, after, list(given), now_ns, proven=proven)
        await asyncio.to_thread(self._files.write, after.number, data, given)
        # Where this raises, the next refresh finds out from the disk whether the line stands or the act is set aside.
        line = await asyncio.to_thread(lambda: self._ledger.append(name_of(act), **fields))
        _, self._place = await asyncio.to_thread(self._ledger.since, self._place, _MARK)  # its own line
        return self._took_effect(after, Entry(after.number, act, tuple(given), now_ns, proven, line))

    def signature(self, number: int, account: str) -> bytes:
        """Return the signature of ``account`` under act ``number``. Raises CaseError (E-OFFICE-MISSING)."""
        found = self._files.signature(number, account)
        if found is None:
            path = self._files.signature_path(number, account)
            raise CaseError("E-OFFICE-MISSING", "there is no such signature", where=str(path), todo="see act show")
        return found

    async def _catch_up(self) -> None:
        lines, place = await asyncio.to_thread(self._ledger.since, self._place, _MARK)
        for line in lines:
            if line.event in OFFICE_EVENTS:
                await self._take(line)
        self._place = place

    async def _take(self, line: Line) -> None:
        """Judge what one line tells, and fold it in."""
        told = dict(line.fields)
        number, signers = int(told["number"]), tuple(str(told["by"]).split("/"))
        now_ns, proven = int(told["at"]) * NS_PER_SECOND, told["clock"] == "proven"
        path = self._files.act_path(number)
        where = f"ledger line n={line.index}, {path}"
        if number != self.register.number + 1:
            raise _wrong("E-OFFICE-LEDGER", f"act {number} is told where act {self.register.number + 1} belongs", where)
        data = await asyncio.to_thread(self._files.act, number)
        if data is None:
            raise _wrong(
                "E-OFFICE-MISSING", f"act {number} ({line.event}) took effect and its file is not there", where
            )
        try:
            act = decoded(data)
            if act.sha256() != told["act"]:
                raise _wrong("E-OFFICE-EDITED", f"act {number} is not the one that took effect", where)
            given = {account: await asyncio.to_thread(self._files.signature, number, account) for account in signers}
            await self._judge_signatures(act, data, given)
            after = decide(self.register, act, signers, now_ns, proven=proven)
        except CaseError as error:
            if error.code in ("E-OFFICE-EDITED", "E-OFFICE-FORGED"):
                raise _wrong(error.code, error.what, where) from None
            code = "E-OFFICE-EDITED" if error.code == "E-OFFICE-BYTES" else "E-OFFICE-FORGED"
            raise _wrong(code, f"act {number} could not have been done: {error.what}", where) from None
        if (line.event, told) != (name_of(act), line_of(act, after, signers, now_ns, proven=proven)):
            raise _wrong("E-OFFICE-LEDGER", f"the line tells something else than act {number} says", where)
        self._took_effect(after, Entry(number, act, signers, now_ns, proven, line.index))

    async def _judge_signatures(self, act: AnyAct, data: bytes, given: Mapping[str, bytes | None]) -> None:
        for account, signature in given.items():
            key = self.register.key(act, account)
            if key is None:
                raise CaseError(
                    "E-OFFICE-UNKNOWN", f"{account} is no officer of this pole", where=name_of(act),
                    todo="see officer list", clause="5.1(1)",
                )  # fmt: skip
            if signature is None or not await self._signatures.verify(data, signature, key):
                how = "is missing" if signature is None else "is not by that officer's key over this act"
                raise CaseError(
                    "E-OFFICE-FORGED", f"the signature of {account} {how}",
                    where=name_of(act), todo=f"have {account} sign exactly this file", clause="7.2(1)",
                )  # fmt: skip

    def _took_effect(self, after: Register, entry: Entry) -> Entry:
        self.register = after
        self.entries = (*self.entries, entry)
        return entry


def decoded(data: bytes) -> AnyAct:
    """Read an act's canonical bytes. Raises :class:`CaseError` (E-OFFICE-BYTES)."""
    try:
        if len(data) > acts.MOST_BYTES:
            message = f"an act has at most {acts.MOST_BYTES} bytes"
            raise msgspec.ValidationError(message)
        return acts.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise CaseError(
            "E-OFFICE-BYTES", f"this is no act: {error}", where="the act's bytes",
            todo="take the file as it was drawn up; an editor may have changed it", clause="7.3(1)2",
        ) from None  # fmt: skip


def _wrong(code: str, what: str, where: str) -> CaseError:
    return CaseError(
        code, what, where=where,
        todo="keep folder and ledger as evidence; nothing is decided on this pole until it is cleared up",
        clause="7.3(1)2",
    )  # fmt: skip
