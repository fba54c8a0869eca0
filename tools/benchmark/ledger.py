"""A year of one pole's ledger and of its witness's archive, and how long an auditor's verdict takes.

A pole writes a line a minute (``minute.sealed``) and two at each sweep, every 55 minutes: 544,600 lines a year.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import ledger_lines, merkle, note
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND
from firmware.ground.growth import MARKS, RecentTree
from firmware.ground.note import ED25519, Checkpoint
from tools.witness.key import WitnessSigner

ORIGIN = "smartpole.example.lg.jp/sp03"
FIRST = 29_398_140
LINES_A_CHECKPOINT = 57


@dataclass(frozen=True, slots=True)
class Year:
    """What :func:`write_year` made; ``growth_bytes`` is the size of the last ``audit/growth``."""

    ledger: Path
    archive: Path
    pole_key: PoleKey
    witness_key: WitnessKey
    checkpoints: int
    growth_bytes: int


class _Key:
    """A key of this run alone."""

    name = ORIGIN
    algorithm = ED25519

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        """See ``ground.note.Signer``."""
        return self._key.sign(message)


def write_year(folder: Path, lines: int = 600_000) -> Year:
    """Write ``lines`` lines, and a cosigned checkpoint for every sweep, below ``folder``."""
    return asyncio.run(_write(folder, lines))


async def _write(folder: Path, lines: int) -> Year:
    ledger, accepted = folder / "ledger", folder / "archive" / "1" / "accepted"
    ledger.mkdir(parents=True)
    accepted.mkdir(parents=True)
    key, witness = _Key(), WitnessSigner.make(folder / "witness.key", "witness.example/bench")
    tree, chain, marks, growth_bytes = RecentTree(), ledger_lines.NO_CHAIN, list[int](), 0
    with (ledger / "lines.jsonl").open("wb") as file:
        for index in range(lines):
            line, chain = _line(index, chain)
            file.write(line + b"\n")
            tree.append(merkle.leaf_hash(line))
            if tree.size % LINES_A_CHECKPOINT and tree.size != lines:
                continue
            signed = await note.sign_note(Checkpoint(ORIGIN, tree.size, tree.root()).text(), key)
            seen_seconds = (FIRST + index) * 60 + 120
            (accepted / f"{tree.size:012d}.note").write_text(witness.cosign(signed, seen_seconds, where="bench"))
            if tree.size == lines:
                growth_bytes = len(tree.growth(marks[-MARKS:], signed).text())
            marks.append(tree.size)
            tree.forget_before(marks[max(0, len(marks) - MARKS)])
    pole_key = PoleKey.parse(note.verifier_text(ORIGIN, ED25519, key.public_key), where="bench")
    return Year(ledger, folder / "archive", pole_key, witness.public, len(marks), growth_bytes)


def _line(index: int, chain: bytes) -> tuple[bytes, bytes]:
    utc_ns = (FIRST + index) * NS_PER_MINUTE + NS_PER_SECOND
    if index % LINES_A_CHECKPOINT < LINES_A_CHECKPOINT - 2:
        manifest = hashlib.sha256(b"%d" % index).hexdigest()
        return ledger_lines.compose(
            index, utc_ns, "minute.sealed", {"epoch": FIRST + index, "manifest": manifest}, chain
        )
    span = {"first_epoch": FIRST + index, "last_epoch": FIRST + index + 54, "epochs": 55, "generation": index}
    if index % LINES_A_CHECKPOINT == LINES_A_CHECKPOINT - 2:
        return ledger_lines.compose(index, utc_ns, "epochs.created", {**span}, chain)
    erased = {**span, "method": "secret_overwritten", "keystore": "tpm2"}
    return ledger_lines.compose(index, utc_ns, "epochs.erased", erased, chain)
