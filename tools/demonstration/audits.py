"""What outsiders see of the two poles: a witness that cosigns, an auditor who balances, a certificate of erasure.

Knows:  what the city's broker delivered, a pole's settings and state, the command lines.
Never:  a way round them: what it does here, a witness and an officer can do by hand.
Leaves: findings and answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware.drivers.signer_software import SoftwareSigner
from firmware.ground.clock import SystemClock, iso_utc
from firmware.ground.note import verifier_text
from tools.broker import Received
from tools.demonstration.office import custodian
from tools.demonstration.poles import Corner
from tools.witness.house import House
from tools.witness.judge import Finding
from tools.witness.key import WitnessSigner


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What the witness made of it: cosigned checkpoints by pole, lines it vouches for, what a forged one was called."""

    cosigned: dict[str, int]
    lines: dict[str, int]
    forged: Finding | None


def witness(folder: Path, corners: Sequence[Corner], messages: Sequence[Received]) -> Witnessed:
    """Let a witness judge what the broker delivered, then one checkpoint that somebody else made."""
    poles = folder / "poles"
    poles.mkdir(parents=True)
    for corner in corners:
        name = corner.settings.place.ledger_origin
        key = SoftwareSigner(corner.settings.state / "keystore" / "ledger.key", name)
        text = verifier_text(key.name, key.algorithm, key.public_key)
        (poles / f"{corner.settings.pole.pole}.vkey").write_text(text + "\n")
    signer = WitnessSigner.make(folder / "key", "witness.example/demonstration")
    house = House.open(folder / "archive", poles, signer, SystemClock(), lambda _: None)
    told = [message for message in messages if message.kind.startswith("audit/")]
    for message in told:
        house.take(message.topic, message.payload)
    sizes = {name: archive.sizes() for name, archive in house.archives.items()}
    forged = None
    if told:
        signed = told[-1].payload.decode()
        at = signed.rindex("\n\n") - 6  # inside the root
        forged = house.take(
            told[-1].topic, (signed[:at] + ("A" if signed[at] != "A" else "B") + signed[at + 1 :]).encode()
        )
    return Witnessed(
        {name: len(found) for name, found in sizes.items()},
        {name: max(found, default=0) for name, found in sizes.items()},
        forged,
    )


def balance(state: Path) -> tuple[int, dict[str, object]]:
    """Ask an auditor's command whether every minute is accounted for."""
    return custodian("audit", "conserve", "--state", str(state))


def certificate(config: Path, state: Path, first_ns: int, after_ns: int, out: Path) -> tuple[int, dict[str, object]]:
    """Let the pole certify what it erased, and judge the paper without the pole."""
    span = ("--from", iso_utc(first_ns), "--to", iso_utc(after_ns))
    code, answer = custodian(
        "erasure", "certificate", *span, "--out", str(out), "--config", str(config), "--state", str(state)
    )
    return custodian("erasure", "verify", str(out)) if code == 0 else (code, answer)
