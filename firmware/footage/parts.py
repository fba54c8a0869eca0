"""What the composition root hands to the footage house, once.

Knows:  the house's parts and the facts that are the same for a whole run.
Never:  how any of them is made.
Leaves: nothing.
Clauses: 5.1 (the house has its own parts and shares only ground with people flow).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firmware.footage.clock_files import ratchet_in
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.manifest import Origin
from firmware.footage.ports import Mint, Recorder, TimeSource
from firmware.footage.retention import Hold
from firmware.footage.settings import FootageSettings
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground.clock import Clock
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_events import Value
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log


def no_holds() -> Sequence[Hold]:
    """Return no hold: every minute goes at its deadline."""
    return ()


@dataclass(slots=True)
class Counters:
    """What happened since the start; for the status and a replay's summary."""

    chunks: int = 0
    ciphertext_bytes: int = 0
    minutes: int = 0
    gaps: int = 0
    lost_chunks: int = 0
    erased_epochs: int = 0
    rewrites: int = 0
    holds: int = 0
    sweep_failures: int = 0
    recording: bool = False
    refusal: str = ""
    """Code of what the house refuses to do while it goes on with the rest; empty: nothing."""
    keystore_refusal: str = ""
    """Code of the last refusal of the keystore that the ledger was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything the house works with. ``holds`` is called under the lock at every erasure, off the loop."""

    settings: FootageSettings
    origin: Origin
    recorder: Recorder
    store: Store
    table: EpochTable
    ledger: Ledger
    mint: Mint
    trust: TrustedTime
    clock: Clock
    lock: PoleLock
    log: Log
    holds: Callable[[], Sequence[Hold]] = no_holds
    time_source: TimeSource | None = None
    accept_lost_keys: bool = False
    counters: Counters = field(default_factory=Counters)

    async def note(self, event: str, **fields: Value) -> None:
        """Write one ledger line, off the loop; the caller holds the lock. Raises LedgerError."""
        await asyncio.to_thread(self.ledger.append, event, **fields)

    @property
    def ratchet_path(self) -> Path:
        """Where the latest instant is kept."""
        return ratchet_in(self.store.folder)
