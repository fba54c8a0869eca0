"""The bundle: what leaves a pole in a sealed case, as it was recorded, told in the ledger before it leaves.

Knows:  one case as two officers approved it, sealed chunks, private halves still encrypted to both groups.
Never:  a private half, a decrypted byte, a minute outside the approved ones, a bundle of a case that is not sealed.
Leaves: one tar; ``case.bundled`` in the ledger before it, ``case.abandoned`` if it then fails.
Clauses: 7.2(1) (a sealed case, its minutes only), 7.3(1)2 (recorded), 7.3(1)3 (carried encrypted).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from firmware.custody.bundle import archive, index
from firmware.custody.bundle.index import DamagedChunk, Index
from firmware.custody.bundle.span import Span
from firmware.custody.bundle.survey import Survey, survey
from firmware.custody.office.case_papers import Paper, about
from firmware.custody.office.cases import deliverable
from firmware.custody.office.dossier import Dossier, document_hash
from firmware.custody.office.journal import Journal
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.holds import LedgerHolds
from firmware.footage.manifest import ChunkEntry
from firmware.footage.nesting import unpack
from firmware.footage.retention import due
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import note
from firmware.ground.clock import Clock, MinuteNumber, iso_utc, minute_of
from firmware.ground.errors import CaseError, PoleError, StoreError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_events import Value
from firmware.ground.ledger_lines import Line, Place
from firmware.ground.lock import PoleLock
from firmware.ground.note import Signer

_BESIDES_BYTES_A_MINUTE: Final = 16 * 1024
"""Manifest, proof, identity and tar headers of a minute, generously."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the custodian works on at a pole. The ledger may have been opened without the lock.

    ``trust`` gives the instant by which ages are judged; ``release_open`` tells, asked under the lock, whether that
    instant is proven and everything due by it erased (a bench may say so without proof).
    """

    pole: str
    camera: str
    store: Store
    table: EpochTable
    ledger: Ledger
    holds: LedgerHolds
    lock: PoleLock
    signer: Signer
    clock: Clock
    trust: TrustedTime
    retention_hours: int
    release_open: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Announced:
    dossier: Dossier
    papers: Sequence[Paper]
    survey: Survey
    identities: dict[MinuteNumber, bytes]
    line: Line
    checkpoint: str

    @property
    def spans(self) -> list[Span]:
        return [Span.of(span) for span in self.dossier.spans]


async def make_bundle(holdings: Holdings, journal: Journal, case: str, out: Path) -> Index:
    """Write the bundle of a sealed case to ``out`` (must not exist) and return its index.

    ``journal`` works on the ledger of ``holdings``. Minutes that are gone are listed in the index. Raises
    :class:`CaseError`: E-CASE-ORDER, E-CASE-DOSSIER, E-CASE-CONDITIONS, E-CASE-CLOCK, E-CASE-CAMERA, E-CASE-GONE,
    E-CASE-NOTHING, E-CASE-OUT, E-CASE-ROOM; besides what store, table, keystore and ledger raise.
    """
    announced = await holdings.lock.during(_announce(holdings, journal, case, out))
    try:
        return await _write(holdings, announced, out)
    except BaseException:
        with contextlib.suppress(PoleError):  # what led here is what the officer must read
            await holdings.lock.during(_abandon(holdings.ledger, announced.line.index))
        raise


async def _announce(holdings: Holdings, journal: Journal, case: str, out: Path) -> _Announced:
    """Under the lock: judge the case again, see what is there, record what will be handed out, sign."""
    ledger = holdings.ledger
    await asyncio.to_thread(_refuse_existing, out)
    await journal.refresh()
    now_ns = holdings.trust.now_ns()
    register = journal.register
    dossier = deliverable(register.cases, case, register.recipients, register.pole, now_ns, proven=True)  # judged below
    _refuse_other_cameras(holdings, dossier)
    spans = [Span.of(span) for span in dossier.spans]
    found, identities = await examine(holdings, spans, now_ns)
    fields: dict[str, Value] = {
        "case": case,
        "document": document_hash(dossier.document.number),
        "first_epoch": spans[0].first,
        "last_epoch": spans[-1].last,
    }
    if not await asyncio.to_thread(holdings.release_open):
        await asyncio.to_thread(lambda: ledger.append("bundle.refused", **fields, reason="clock"))
        raise _unproven(holdings)
    if not found.minutes:
        reason = "gone" if gone(found) else "nothing"
        await asyncio.to_thread(lambda: ledger.append("bundle.refused", **fields, reason=reason))
        raise nothing_left(spans, found)
    await asyncio.to_thread(_refuse_too_small, found, out)
    papers = await asyncio.to_thread(_papers, journal, case, ledger)
    fields |= {"dossier": dossier.sha256(), "epochs": len(found.minutes), "missing_epochs": found.missing_epochs}
    await asyncio.to_thread(lambda: ledger.append("case.bundled", **fields))
    checkpoint = await ledger.checkpoint()
    return _Announced(dossier, papers, found, identities, await asyncio.to_thread(ledger.last), checkpoint)


async def look(holdings: Holdings, spans: Sequence[Span]) -> Survey:
    """Return what of ``spans`` is there: minutes and reasons, no picture (7.2(1): a look before a case is metadata)."""

    async def looked() -> Survey:
        await asyncio.to_thread(holdings.ledger.refresh)
        return (await examine(holdings, spans, holdings.trust.now_ns()))[0]

    return await holdings.lock.during(looked())


async def examine(holdings: Holdings, spans: Sequence[Span], now_ns: int) -> tuple[Survey, dict[MinuteNumber, bytes]]:
    """Judge every minute of ``spans``; return the survey, and the sealed identities. The caller holds the lock."""
    await holdings.table.load(minute_of(holdings.clock.utc_ns()), repair=False)
    epochs = [MinuteNumber(epoch) for span in spans for epoch in span.minutes]
    identities = await holdings.table.sealed_identities(epochs)
    holds = await asyncio.to_thread(holdings.holds)
    expired = due(identities, holds, now_ns, retention_hours=holdings.retention_hours, horizon_seconds=0)  # 7.1(3)
    found = await asyncio.to_thread(survey, spans, identities.keys(), expired, holdings.store, holdings.ledger)
    return found, identities


def _papers(journal: Journal, case: str, ledger: Ledger) -> list[Paper]:
    """Return the acts that prove ``case``, each with its signatures and its line."""
    entries = about(case, journal.entries)
    wanted = {entry.line for entry in entries}
    told, _ = ledger.since(Place(), b',"act":"')
    lines = {line.index: line for line in told if line.index in wanted}
    return [
        Paper(
            entry.act.encoded(),
            {account: journal.signature(entry.number, account) for account in entry.signers},
            lines[entry.line],
        )
        for entry in entries
    ]


async def _write(holdings: Holdings, announced: _Announced, out: Path) -> Index:
    now_ns, dossier = holdings.clock.utc_ns(), announced.dossier
    with archive.writing(out, now_ns) as tar:
        damaged = await _stoppable(tar, asyncio.to_thread(_write_members, holdings, announced, tar))
        made = Index(
            pole=holdings.pole,
            case=dossier.case,
            dossier=dossier.sha256(),
            document=dossier.document.number,
            spans=dossier.spans,
            first_epoch=dossier.spans[0].first_epoch,
            last_epoch=dossier.spans[-1].last_epoch,
            made_utc=iso_utc(now_ns),
            ledger_line=announced.line.index,
            epochs=tuple(minute.epoch for minute in announced.survey.minutes),
            missing=announced.survey.missing,
            damaged=tuple(damaged),
            members=tuple(tar.members),
        )
        encoded = made.encoded()
        text = index.note_text(holdings.ledger.origin, encoded)
        signed = await holdings.lock.during(note.sign_note(text, holdings.signer))
        tar.add(index.INDEX, encoded)
        tar.add(index.NOTE, signed.encode())
    return made


async def _stoppable(tar: archive.Writer, work: Coroutine[Any, Any, list[DamagedChunk]]) -> list[DamagedChunk]:
    """Await ``work`` in its thread; a cancellation makes it stop at its next member and is delivered then."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        tar.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # taken, so that it is not reported as never retrieved
        raise


async def _abandon(ledger: Ledger, line: int) -> None:
    await asyncio.to_thread(lambda: ledger.append("case.abandoned", bundled_line=line))


def _write_members(holdings: Holdings, announced: _Announced, tar: archive.Writer) -> list[DamagedChunk]:
    """Write everything but the index. The ledger's first lines never change, so their proofs need no lock."""
    minutes, damaged = announced.survey.minutes, list[DamagedChunk]()
    wanted = [minute.line.index for minute in minutes] + [announced.line.index]
    wanted += [paper.line.index for paper in announced.papers]
    size = note.parse_checkpoint(announced.checkpoint, where="checkpoint").size
    paths = holdings.ledger.inclusion(wanted, size)
    for minute in minutes:
        proof = note.proof_text(minute.line.index, paths[minute.line.index], announced.checkpoint)
        tar.add(index.of_minute(minute.epoch, "manifest.json"), minute.manifest_bytes)
        tar.add(index.of_minute(minute.epoch, "ledger.line"), minute.line.raw)
        tar.add(index.of_minute(minute.epoch, "ledger.tlog-proof"), proof.encode())
        for pair, sealed in unpack(announced.identities[minute.epoch]).items():
            tar.add(index.of_minute(minute.epoch, index.identity_name(pair)), sealed)
        for chunk in minute.manifest.chunks:
            why = _copy_chunk(holdings.store, minute.epoch, chunk, tar)
            if why is not None:
                damaged.append(why)
    tar.add(index.DOSSIER, announced.dossier.encoded())
    for paper in announced.papers:
        number, at = int(paper.line.fields["number"]), paper.line.index
        tar.add(index.of_act(number, "act"), paper.act)
        for account, signature in paper.signatures.items():
            tar.add(index.of_act(number, f"{account}.sig"), signature)
        tar.add(index.of_act(number, "line"), paper.line.raw)
        proof = note.proof_text(at, paths[at], announced.checkpoint)
        tar.add(index.of_act(number, "tlog-proof"), proof.encode())
    line = announced.line.index
    tar.add(index.LINE, announced.line.raw)
    tar.add(index.PROOF, note.proof_text(line, paths[line], announced.checkpoint).encode())
    tar.add(index.CHECKPOINT, announced.checkpoint.encode())
    signer = holdings.signer
    tar.add(index.POLE_KEY, note.verifier_text(signer.name, signer.algorithm, signer.public_key).encode() + b"\n")
    return damaged


def _copy_chunk(store: Store, epoch: MinuteNumber, chunk: ChunkEntry, tar: archive.Writer) -> DamagedChunk | None:
    path = store.chunk_path(epoch, chunk.sequence)
    try:
        file: BinaryIO = path.open("rb")
    except FileNotFoundError:
        if not store.manifest_path(epoch).exists():
            raise _erased_meanwhile(epoch) from None
        return DamagedChunk(epoch=epoch, sequence=chunk.sequence, why="missing")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        length = os.fstat(file.fileno()).st_size
        member = tar.copy(index.of_minute(epoch, f"{chunk.sequence}.age"), file, length)
    if member.sha256 != chunk.sha256:
        return DamagedChunk(epoch=epoch, sequence=chunk.sequence, why="changed")
    return None


def _refuse_other_cameras(holdings: Holdings, dossier: Dossier) -> None:
    other = sorted({span.camera for span in dossier.spans} - {holdings.camera})
    if other:
        raise CaseError(
            "E-CASE-CAMERA", f"{', '.join(other)} is not a camera of {holdings.pole}", where=f"case {dossier.case}",
            todo=f"scope {holdings.camera}, or open the case on the other pole", clause="7.2(1)",
        )  # fmt: skip


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise _out("there is a file of that name", out)


def _refuse_too_small(found: Survey, out: Path) -> None:
    chunk_bytes = sum(chunk.ciphertext_bytes for minute in found.minutes for chunk in minute.manifest.chunks)
    needed = chunk_bytes + len(found.minutes) * _BESIDES_BYTES_A_MINUTE
    try:
        room = os.statvfs(out.parent)
    except OSError as error:
        raise _out(error.strerror or "unreadable", out) from None
    free_bytes = room.f_bavail * room.f_frsize
    if free_bytes < needed:
        raise CaseError(
            "E-CASE-ROOM",
            f"the bundle needs {needed // 1_000_000 + 1} MB, there are {free_bytes // 1_000_000} MB",
            where=str(out),
            todo="use a larger medium, or ask for fewer minutes at a time",
        )


def _unproven(holdings: Holdings) -> CaseError:
    return CaseError(
        "E-CASE-CLOCK",
        "this pole's clock is not proven, so nobody can tell which minutes are past their 336 hours",
        where=holdings.pole,
        todo="pole-custodian time show says why: wait until the network proves it, or sign the time"
        " (pole-custodian time challenge)",
        clause="7.1(3)",
    )


def gone(found: Survey) -> bool:
    """Tell whether any of the missing minutes was there once."""
    return any(run.reason in ("erased", "expired", "dropped_early", "lost") for run in found.missing)


def nothing_left(spans: Sequence[Span], found: Survey) -> CaseError:
    """Return the error for minutes of which none is left."""
    if not gone(found):
        return CaseError(
            "E-CASE-NOTHING",
            "none of these minutes was recorded and sealed: " + describe(found.missing),
            where=", ".join(span.text() for span in spans),
            todo="check pole, camera and times; a minute is sealed some seconds after it ends",
            clause="7.2(1)",
        )
    return CaseError(
        "E-CASE-GONE",
        "none of these minutes exists any more: " + describe(found.missing),
        where=", ".join(span.text() for span in spans),
        todo="nothing can bring them back, by design; the ledger's line is the proof",
        clause="7.1(3)",
    )


def describe(missing: tuple[index.Missing, ...]) -> str:
    """Return missing minutes in words: ``2026-11-23T09:00:00Z to ... erased at ... (ledger line n=12)``."""
    pieces = []
    for run in missing[:20]:
        times = Span(MinuteNumber(run.first_epoch), MinuteNumber(run.last_epoch)).text()
        by = f" at {run.ledger_utc} (ledger line n={run.ledger_line})" if run.ledger_line is not None else ""
        pieces.append(f"{times} {run.reason.replace('_', ' ')}{by}")
    return "; ".join(pieces) + ("; ..." if len(missing) > 20 else "")


def _erased_meanwhile(epoch: MinuteNumber) -> CaseError:
    return CaseError(
        "E-CASE-GONE",
        "a minute's time ended while it was being copied",
        where=Span(epoch, epoch).text(),
        todo="ask again at once: what is left is bundled without it",
        clause="7.1(3)",
    )


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        "E-STORE-READ", f"{error.strerror}", where=str(path), todo="check the disk; nothing was handed out"
    )


def _out(what: str, out: Path) -> CaseError:
    return CaseError("E-CASE-OUT", f"cannot write: {what}", where=str(out), todo="choose another place or name")
