"""Taking stock of a pole's folder: its ledger's lines and its store, under one lock.

Knows:  the state directory of a pole, or a copy of it.
Never:  a change but the lock's own file; a line read that does not follow the one before it.
Leaves: the balance of minutes.
Clauses: 7.3(1)3.

Most of a ledger is read without the lock, because its lines never change; what came meanwhile, and the store, are read
under it, so that no minute is sealed or erased between the two.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from firmware.custody.audit.conservation import Account, Balance
from firmware.footage.store import Store
from firmware.ground import ledger_lines
from firmware.ground.errors import LedgerError
from firmware.ground.lock import PoleLock


class _Reading:
    """The lines file, read on from where the last reading ended; every line's chain is followed."""

    def __init__(self, path: Path) -> None:
        self.account = Account()
        self._path = path
        self._offset = 0
        self._index = 0
        self._chain = ledger_lines.NO_CHAIN

    def read_on(self) -> None:
        """Take in every whole line that is new. Raises :class:`LedgerError` that names a changed one."""
        rows = ledger_lines.read_lines(self._path, self._offset)
        for raw in rows:
            line = raw.removesuffix(b"\n")
            if line == raw:
                return  # unfinished: its writer never learnt that it was kept
            where = f"{self._path}: line {self._index + 1}"
            chain = ledger_lines.follow(line, self._index, self._chain)
            if chain is None:
                raise ledger_lines.why_not(line, self._index, rows, where)
            if b'"event":"minute.' in line or b'"event":"epochs.' in line:
                self.account.add(ledger_lines.parse(line, where=where))
            self._chain, self._offset, self._index = chain, self._offset + len(raw), self._index + 1


async def take_stock(state: Path) -> Balance:
    """Return the balance of the pole in ``state``. Raises :class:`LedgerError`, StoreError."""
    path, footage = state / "ledger" / "lines.jsonl", state / "footage"
    if not path.exists() or not footage.is_dir():
        raise LedgerError(
            "E-LEDGER-NONE", "there is no ledger, or no store", where=str(state), todo="give a pole's --state"
        )
    reading = _Reading(path)
    await asyncio.to_thread(reading.read_on)
    return await PoleLock(state / "lock").during(_under_lock(reading, footage))


async def _under_lock(reading: _Reading, footage: Path) -> Balance:
    await asyncio.to_thread(reading.read_on)
    return reading.account.balance(await asyncio.to_thread(listing_of, Store(footage)))


def listing_of(store: Store) -> dict[int, str | None]:
    """Return what lies in the store: epoch to the SHA-256 (hex) of its manifest, None where it has none (yet)."""
    found = dict[int, str | None]()
    for epoch in store.recorded():
        data = store.manifest_bytes(epoch)
        found[epoch] = None if data is None else hashlib.sha256(data).hexdigest()
    return found
