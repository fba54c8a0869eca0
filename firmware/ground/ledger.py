"""The ledger: one durable line an event, in a Merkle log that cannot be rewritten unnoticed.

Knows:  events of the closed list, the lines file (which alone is the truth), the last signed checkpoint.
Never:  free text, a person, a number of people, a chunk's size; a line changed or removed once it is written.
Leaves: ``lines.jsonl``, ``checkpoint`` and ``growth`` in its folder; proofs; errors that name the line.
Clauses: 7.3(1)2 (what was handed out), 7.3(1)3 (recorded, carried, erased).

Every call is made under the state directory's lock, which the caller holds; another process may have appended since
the last one. Calls block (they read and fsync): run them off the loop. The file alone is what is remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from firmware.ground import growth, ledger_lines, merkle, note
from firmware.ground.clock import Clock
from firmware.ground.durable import sync_folder, write_file
from firmware.ground.errors import LedgerError
from firmware.ground.ledger_events import Value, check_event
from firmware.ground.ledger_lines import Line, Place
from firmware.ground.note import Checkpoint, Signer


class Ledger:
    """One pole's ledger. Make it with :meth:`open`."""

    def __init__(self, folder: Path, signer: Signer, clock: Clock) -> None:
        self._folder = folder
        self._lines = folder / "lines.jsonl"
        self._checkpoint = folder / "checkpoint"
        self._growth = folder / "growth"
        self._signer = signer
        self._clock = clock
        self._tree = growth.RecentTree(min(self._marks(), default=0))
        self._chain = ledger_lines.NO_CHAIN
        self._offset = 0  # bytes of the lines file that are in the tree

    @classmethod
    def open(cls, folder: Path, signer: Signer, clock: Clock, *, mend: bool = True) -> Ledger:
        """Read the whole ledger in ``folder`` (made if missing) and judge it against its own last checkpoint.

        A torn last line, left by a crash, is cut off and recorded as ``ledger.torn``; nothing before it is touched.
        With ``mend`` off it is passed over, so that the long first reading needs no lock; :meth:`refresh` mends.
        Raises :class:`LedgerError` that names the line which was edited, dropped, reordered or cut.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ledger = cls(folder, signer, clock)
        last = ledger.last_checkpoint()
        ledger._catch_up([last] if last else [], mend=mend)
        return ledger

    @property
    def size(self) -> int:
        """The number of lines."""
        return self._tree.size

    @property
    def origin(self) -> str:
        """The name under which its checkpoints are known."""
        return self._signer.name

    @property
    def root(self) -> bytes:
        """The Merkle root over all lines (32 bytes)."""
        return self._tree.root()

    def append(self, event: str, **fields: Value) -> int:
        """Write one listed event and return its line number once it would survive a power cut.

        Record first, act second: where this raises, the act must not happen. Raises :class:`LedgerError`
        (``E-LEDGER-EVENT``, ``E-LEDGER-DISK``, or what :meth:`refresh` raises).
        """
        check_event(event, fields)
        self.refresh()
        return self._write(event, fields)

    def refresh(self) -> int:
        """Take in the lines that another process appended; return how many. Raises :class:`LedgerError`."""
        return self._catch_up([], mend=True)

    async def checkpoint(self) -> str:
        """Sign all lines, write ``checkpoint`` durably, return it. An unchanged ledger is not signed again."""
        await asyncio.to_thread(self.refresh)
        now = Checkpoint(self.origin, self.size, self.root)
        if self._checkpoint.exists() and self.last_checkpoint() == now:
            return await asyncio.to_thread(self._checkpoint.read_text, "utf-8")
        signed = await note.sign_note(now.text(), self._signer)
        await asyncio.to_thread(self._keep_signed, signed)
        return signed

    def _keep_signed(self, signed: str) -> None:
        """Write the proof of growth, then the checkpoint: what is seen at the new size can always be compared."""
        marks = self._marks()
        write_file(self._growth, self._tree.growth(marks, signed).text().encode())
        write_file(self._checkpoint, signed.encode())
        self._tree.forget_before(min(self._marks()))

    def _marks(self) -> list[int]:
        """Return the sizes from which growth is to be shown: the last ones signed, rising."""
        try:
            last = growth.parse(self._growth.read_text("utf-8"), where=str(self._growth))
            marks = [*last.proofs, last.checkpoint.size]
        except (OSError, UnicodeDecodeError, LedgerError):  # it can be made anew; the checkpoint alone is a start
            marks = []
        with contextlib.suppress(OSError, LedgerError):
            known = self.last_checkpoint()
            marks += [known.size] if known else []
        return sorted(set(marks))[-growth.MARKS :]

    def last_checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint written here, its signature unjudged; None before the first."""
        try:
            text = self._checkpoint.read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
        return note.parse_checkpoint(text, where=str(self._checkpoint))

    def last_signed(self) -> str | None:
        """Return the last checkpoint as it was signed (a C2SP signed note); None before the first."""
        return self._checkpoint.read_text("utf-8") if self._checkpoint.exists() else None

    def last_growth(self) -> str | None:
        """Return what shows that the ledger only grew to its last checkpoint (:mod:`firmware.ground.growth`)."""
        return self._growth.read_text("utf-8") if self._growth.exists() else None

    def lines(self, event: str | None = None, epochs: range | None = None) -> Iterator[Line]:
        """Yield the lines in order; only those of ``event``, or with an ``epoch`` among ``epochs``, where given."""
        if self._offset == 0:
            return
        for index, raw in enumerate(ledger_lines.read_lines(self._lines)):
            if index >= self.size:
                return
            if ledger_lines.may_be(raw, event, epochs):
                yield ledger_lines.parse(raw.removesuffix(b"\n"), where=f"{self._lines}: line {index + 1}")

    def since(self, place: Place, marker: bytes) -> tuple[list[Line], Place]:
        """Return the lines behind ``place`` whose bytes contain ``marker``, and the place behind the last line."""
        if self._offset <= place.offset:
            return [], place
        found = list[Line]()
        rows = zip(range(place.index, self.size), ledger_lines.read_lines(self._lines, place.offset), strict=False)
        for index, raw in rows:
            if marker in raw:
                found.append(ledger_lines.parse(raw.removesuffix(b"\n"), where=f"{self._lines}: line {index + 1}"))
        return found, Place(self.size, self._offset)

    def last(self) -> Line:
        """Return the line written last. Raises ValueError for an empty ledger."""
        if not self.size:
            message = "an empty ledger has no last line"
            raise ValueError(message)
        with self._lines.open("rb") as file:
            begin = max(0, self._offset - ledger_lines.LONGEST_LINE_BYTES)
            file.seek(begin)
            *_, raw = file.read(self._offset - begin).splitlines()
        return ledger_lines.parse(raw, where=f"{self._lines}: line {self.size}")

    def inclusion(self, indices: Iterable[int], size: int | None = None) -> dict[int, list[bytes]]:
        """Return an inclusion proof (hashes, leaf side first) for each of ``indices`` in the tree of ``size`` lines.

        One pass over the file for all of them. Raises ValueError for a line that is not in that tree.
        """
        total = self.size if size is None else size
        paths = {index: merkle.inclusion_nodes(index, total) for index in indices}
        hashes = merkle.hashes_of({node for path in paths.values() for node in path}, self._leaves(), total)
        return {index: [hashes[node] for node in path] for index, path in paths.items()}

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the first ``size`` lines begin with the first ``old`` (a witness asks for it)."""
        total = self.size if size is None else size
        nodes = merkle.consistency_nodes(old, total)
        hashes = merkle.hashes_of(nodes, self._leaves(), total)
        return [hashes[node] for node in nodes]

    def _leaves(self) -> Iterator[bytes]:
        for raw in ledger_lines.read_lines(self._lines):
            yield merkle.leaf_hash(raw.removesuffix(b"\n"))

    def _catch_up(self, checkpoints: list[Checkpoint], *, mend: bool) -> int:
        before, length = self.size, self._lines.stat().st_size if self._lines.exists() else 0
        if length < self._offset:
            raise cut(self.size, before, str(self._lines))
        if length > self._offset or checkpoints:
            reader = Reader(self._lines, self._tree, self._chain, self._offset)
            try:
                reader.read(checkpoints)
            finally:
                self._chain, self._offset = reader.chain, reader.offset
            if reader.torn_bytes and mend:
                self._cut_tail(reader.torn_bytes)
        return self.size - before

    def _cut_tail(self, torn_bytes: int) -> None:
        """Remove an unfinished last line. Its writer never learnt that it was kept, so nothing was done on its word."""
        descriptor = os.open(self._lines, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, self._offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._write("ledger.torn", {"lost_bytes": torn_bytes})

    def _write(self, event: str, fields: dict[str, Value]) -> int:
        index = self.size
        line, chain = ledger_lines.compose(index, self._clock.utc_ns(), event, fields, self._chain)
        try:
            self._write_durably(line + b"\n")
        except OSError as error:
            raise LedgerError(
                "E-LEDGER-DISK",
                f"cannot write: {error.strerror}",
                where=str(self._lines),
                todo="free or replace the disk; nothing was recorded, so nothing may be done",
            ) from None
        self._tree.append(merkle.leaf_hash(line))
        self._chain = chain
        self._offset += len(line) + 1
        return index

    def _write_durably(self, line: bytes) -> None:
        descriptor = os.open(self._lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self._offset)
                raise
        finally:
            os.close(descriptor)
        if self._offset == 0:
            sync_folder(self._folder)


class Reader:
    """Reads on from a known place, judging each line by its chain and the tree by checkpoints."""

    def __init__(self, path: Path, tree: merkle.Tree, chain: bytes = ledger_lines.NO_CHAIN, offset: int = 0) -> None:
        self.tree = tree
        self.chain = chain
        self.offset = offset
        self.torn_bytes = 0
        self._path = path

    def read(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Take in every whole line; ``torn_bytes`` then tells the length of an unfinished last one.

        Raises :class:`LedgerError` naming the line, or the lines between two checkpoints, that are not as they were.
        """
        due = sorted(checkpoints, key=lambda checkpoint: checkpoint.size, reverse=True)
        trusted = self.tree.size
        trusted = self._judge(due, trusted)
        rows = ledger_lines.read_lines(self._path, self.offset) if self._path.exists() else iter(())
        for raw in rows:
            line = raw.removesuffix(b"\n")
            if line == raw and not next(rows, b""):
                self.torn_bytes = len(raw)
                break
            chain = ledger_lines.follow(line, self.tree.size, self.chain)
            if chain is None:
                where = f"{self._path}: line {self.tree.size + 1}"
                raise ledger_lines.why_not(line, self.tree.size, rows, where)
            self.tree.append(merkle.leaf_hash(line))
            self.chain = chain
            self.offset += len(raw)
            trusted = self._judge(due, trusted)
        if due:
            raise cut(self.tree.size, due[0].size, str(self._path))

    def _judge(self, due: list[Checkpoint], trusted: int) -> int:
        while due and due[-1].size == self.tree.size:
            if due.pop().root != self.tree.root():
                raise LedgerError(
                    "E-LEDGER-REWRITTEN",
                    f"among lines n={trusted} to n={self.tree.size - 1} one was edited, re-dated, added or removed, "
                    f"and all chains after it redone: the checkpoint at {self.tree.size} lines says otherwise",
                    where=f"{self._path}: lines {trusted + 1} to {self.tree.size}",
                    todo="keep this file as evidence and compare it with the checkpoints held outside the pole",
                    clause="7.3(1)3",
                )
            trusted = self.tree.size
        return trusted


def verify(folder: Path, checkpoints: Iterable[Checkpoint]) -> merkle.Tree:
    """Judge a ledger without touching it, against ``checkpoints`` whose signatures the caller has judged.

    Returns its tree. Raises :class:`LedgerError` with the line: edited, dropped, reordered, cut, rewritten, torn.
    """
    path = folder / "lines.jsonl"
    reader = Reader(path, merkle.Tree())
    reader.read(checkpoints)
    if reader.torn_bytes:
        raise LedgerError(
            "E-LEDGER-TORN",
            f"the last line (n={reader.tree.size}) is unfinished: {reader.torn_bytes} bytes",
            where=f"{path}: line {reader.tree.size + 1}",
            todo="start the pole once: it cuts an unfinished line off and records that it did",
        )
    return reader.tree


def cut(present: int, signed: int, where: str) -> LedgerError:
    """Return the error for a ledger that ends before lines that are known to have stood in it."""
    return LedgerError(
        "E-LEDGER-CUT",
        f"lines n={present} to n={signed - 1} are gone from its end",
        where=f"{where}: line {present + 1}",
        todo="keep this file as evidence and compare it with the checkpoints held outside the pole",
        clause="7.3(1)3",
    )
