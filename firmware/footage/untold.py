"""Minutes that stand in the store and not in the ledger: a crash came between the two.

Knows:  manifests' hashes, the ledger's lines.
Never:  an older minute told anew: a manifest changed later must not gain a line that vouches for it.
Leaves: what the ledger still has to be told.
Clauses: 7.3(1)3 (every sealed minute is accounted for), 7.2(1) (what is not proven cannot be handed out).
"""

from __future__ import annotations

from typing import Final

from firmware.footage import manifest as manifests
from firmware.footage.store import Store
from firmware.ground.clock import MinuteNumber
from firmware.ground.ledger import Ledger

NEWEST: Final = 10
"""How many of the newest minutes a crash can have touched, generously."""


def untold(store: Store, ledger: Ledger) -> list[tuple[MinuteNumber, str]]:
    """Return ``(epoch, manifest SHA-256)`` of minutes whose manifest the ledger does not know, in order.

    Only the newest minutes; all of them in the first check after a damaged ledger was succeeded. Blocks.
    Raises StoreError, LedgerError.
    """
    recorded = store.recorded()
    looked_at = recorded if _just_succeeded(ledger) else recorded[-NEWEST:]
    if not looked_at:
        return []
    lines = ledger.lines("minute.sealed", range(looked_at[0], looked_at[-1] + 1))
    told = {(line.fields["epoch"], line.fields["manifest"]) for line in lines}
    found = []
    for epoch in looked_at:
        data = store.manifest_bytes(epoch)
        if data is not None and (epoch, digest := manifests.sha256_of(data)) not in told:
            found.append((epoch, digest))
    return found


def _just_succeeded(ledger: Ledger) -> bool:
    last = {event: line.index for event in ("ledger.succeeded", "store.checked") for line in ledger.lines(event)}
    return last.get("ledger.succeeded", -1) > last.get("store.checked", -1)
