"""What the ledger may say: a closed list of events and their fields.

Knows:  names of events, names of fields, the shape of each value.
Never:  a name of a person, a number of people, anything found in a picture, a chunk's size, free text.
Leaves: a verdict on one event before it is written; what is not listed here cannot be recorded.
Clauses: 7.3(1)3 (the cycle of recording, carrying and erasing), 7.3(2) (no index by person), 4.1 (no personal data).

Values are whole numbers, codes from a fixed list, SHA-256 in hex, or a pole's identifier. An ``epoch`` is a UTC minute
number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from firmware.ground.errors import LedgerError
from firmware.ground.ledger_office import CASE, GROUPS, OFFICE_EVENTS, Shape

Value = int | str

SHA256: Final = re.compile(r"[0-9a-f]{64}")
POLE: Final = re.compile(r"sp[0-9]{2,7}")
KEYSTORES: Final = frozenset({"software", "tpm2"})
PROFILES: Final = frozenset({"bench", "pole"})

GAP_REASONS: Final = frozenset(
    {
        "stopped",
        "maintenance",
        "notice_mismatch",
        "overload",
        "camera_fault",
        "recorder_fault",
        "clock_unproven",
        "power",
        "disk_full",
        "store_fault",
    }
)
REFUSALS: Final = frozenset({"gone", "nothing", "clock"})

_SPAN: Final[Mapping[str, Shape]] = MappingProxyType({"first_epoch": int, "last_epoch": int, "epochs": int})

EVENTS: Final[Mapping[str, Mapping[str, Shape]]] = MappingProxyType({
    "ledger.started": {"pole": POLE, "generation": int},
    "ledger.succeeded": {
        "kept_lines": int,
        "cause": frozenset({"edited", "dropped", "reordered", "cut", "rewritten", "checkpoint"}),
    },
    "ledger.torn": {"lost_bytes": int},  # an unfinished last line, cut off after a crash
    "pole.started": {"profile": PROFILES, "keystore": KEYSTORES},
    "pole.stopped": {},
    "recipients.set": GROUPS,  # over the sorted recipients of each group; the first version told a and b alone
    "recipients.approved": {**GROUPS, "act": SHA256},  # told from a signed paper, where no act was made
    "recipients.refused": GROUPS,  # what footage.toml asks for without such a line
    "epochs.created": {**_SPAN, "generation": int},
    "epochs.erased": {**_SPAN, "generation": int, "method": frozenset({"secret_overwritten"}), "keystore": KEYSTORES},
    "epochs.dropped_early": {**_SPAN, "reason": frozenset({"disk_full"})},
    "epochs.recovered": {"generation": int, "kept": frozenset({"old", "new"})},
    "epochs.lost": {**_SPAN, "reason": frozenset({"table_damaged", "secret_missing"})},
    "table.refused": {"generation": int},  # a table file that no secret opens: an old copy, or left by a crash
    "keystore.refused": {"reason": frozenset({"chip", "boot", "lost"})},  # another chip, another boot, another table
    "tpm.provisioned": {"chip": SHA256, "key": SHA256, "policy": SHA256, "owner": SHA256, "boot_pcrs": int},
    "tpm.rebound": {"chip": SHA256, "boot_pcrs": int},  # boot_pcrs: bit n set: register n counts
    "board.retired": {"chip": SHA256},
    "board.replaced": {  # the last checkpoint before; old_chip: zeros where nobody knows it any more
        "old_chip": SHA256,
        "old_lines": int,
        "old_root": SHA256,
        "ledger": frozenset({"continued", "lost"}),
    },
    "minute.sealed": {"epoch": int, "manifest": SHA256},
    "recording.gap": {"first_epoch": int, "last_epoch": int, "reason": GAP_REASONS},
    "recording.stopped": {"reason": GAP_REASONS},
    "recording.resumed": {},
    "store.checked": {"removed": int, "damaged": int, "unlisted": int},
    "chunk.damaged": {"epoch": int, "sequence": int},
    "clock.stepped": {"seconds": int, "proven": frozenset({"yes", "no"})},
    "clock.started": {"source": frozenset({"machine", "ratchet", "running"}), "forward_seconds": int},
    "clock.proven": {"source": frozenset({"network", "officer"}), "uncertainty_ms": int},
    "clock.lost": {"reason": frozenset({"source", "drift", "step", "restart"})},
    "hold.lapsed": {"hold": int, "ends_epoch": int},  # ended by itself; written by the sweep that first saw it
    "case.bundled": {  # epochs: handed out; missing: gone already; first and last: outer ends of the approved minutes
        "case": CASE, "dossier": SHA256, "document": SHA256, **_SPAN, "missing_epochs": int,
    },
    "case.abandoned": {"bundled_line": int},  # announced by that line, then not finished: nothing was handed out
    "bundle.refused": {"case": CASE, "document": SHA256, "first_epoch": int, "last_epoch": int, "reason": REFUSALS},
    **OFFICE_EVENTS,
})  # fmt: skip


def check_event(event: str, fields: Mapping[str, Value]) -> None:
    """Raise :class:`LedgerError` (``E-LEDGER-EVENT``) unless ``event`` is listed with exactly these fields."""
    shapes = EVENTS.get(event)
    if shapes is None:
        raise _unlisted(f"no event {event} is listed")
    if set(fields) != set(shapes):
        raise _unlisted(f"{event} takes exactly: {', '.join(shapes) or 'nothing'}")
    for name, shape in shapes.items():
        if not _fits(fields[name], shape):
            raise _unlisted(f"{event}: {name} has not the listed shape")


def _fits(value: Value, shape: Shape) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return shape is int and abs(value) < 10**16
    if isinstance(shape, frozenset):
        return value in shape
    return isinstance(shape, re.Pattern) and shape.fullmatch(value) is not None


def _unlisted(what: str) -> LedgerError:
    return LedgerError(
        "E-LEDGER-EVENT", what, where="the ledger's list of events", todo="list it, with codes and whole numbers only",
        clause="7.3(2)",
    )  # fmt: skip
