"""A pole's ledger and a witness beside it, without a broker between them."""

from __future__ import annotations

import shutil
from pathlib import Path

from firmware.ground import ledger_lines
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock
from firmware.ground.ledger import Ledger
from firmware.ground.note import verifier_text
from tests.signing import Ed25519Key
from tools.contracts import PLACE
from tools.witness.house import House
from tools.witness.judge import Finding
from tools.witness.key import WitnessSigner

START_NS = 1_763_888_400 * NS_PER_SECOND
FIRST = 29_398_140


class LedgerPole:
    """Writes a sealed minute a minute and signs when told; ``fork`` gives a pole with the same past and key."""

    def __init__(self, folder: Path, clock: SimulatedClock | None = None) -> None:
        self.folder = folder
        self.key = Ed25519Key(PLACE.ledger_origin)
        self.clock = clock or SimulatedClock(START_NS)
        self.ledger = Ledger.open(folder / "ledger", self.key, self.clock)

    def write(self, count: int, mark: str = "0") -> None:
        for _ in range(count):
            number = self.ledger.size
            self.ledger.append("minute.sealed", epoch=FIRST + number, manifest=f"{mark}{number:063x}")
            self.clock.step(NS_PER_MINUTE)

    async def say(self, count: int = 0, mark: str = "0") -> tuple[str, str]:
        """Write ``count`` lines, sign; return what stands at the broker: checkpoint, growth."""
        self.write(count, mark)
        signed = await self.ledger.checkpoint()
        return signed, self.ledger.last_growth() or ""

    def fork(self, folder: Path) -> LedgerPole:
        shutil.copytree(self.folder, folder)
        return LedgerPole(folder, SimulatedClock(self.clock.utc_ns()))

    def rewrite(self, at: int, *, delay_ns: int = 0, epoch: int | None = None) -> None:
        """Change line ``at`` and redo every chain after it: what its keeper, who has the key too, would do."""
        path = self.folder / "ledger" / "lines.jsonl"
        chain, out = ledger_lines.NO_CHAIN, list[bytes]()
        for index, raw in enumerate(path.read_bytes().splitlines()):
            line = ledger_lines.parse(raw, where="")
            utc_ns = START_NS + index * NS_PER_MINUTE + (delay_ns if index == at else 0)
            fields = {**line.fields, "epoch": epoch} if index == at and epoch is not None else line.fields
            redone, chain = ledger_lines.compose(index, utc_ns, line.event, fields, chain)
            out.append(redone + b"\n")
        path.write_bytes(b"".join(out))
        for name in ("checkpoint", "growth"):
            (self.folder / "ledger" / name).unlink(missing_ok=True)
        self.ledger = Ledger.open(self.folder / "ledger", self.key, self.clock)

    def verifier(self) -> str:
        return verifier_text(self.key.name, self.key.algorithm, self.key.public_key)


class Witness:
    """A witness's house over one pole; ``lines`` is what it said."""

    def __init__(self, folder: Path, pole: LedgerPole, name: str = "witness.example/one") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.lines = list[str]()
        self.clock = pole.clock
        key = folder / "key"
        self.signer = WitnessSigner.read(key) if key.exists() else WitnessSigner.make(key, name)
        self.poles = folder / "poles"
        self.poles.mkdir(exist_ok=True)
        (self.poles / "sp03.vkey").write_text(pole.verifier() + "\n")
        self.house = House.open(folder / "archive", self.poles, self.signer, self.clock, self.lines.append)
        self.archive = self.house.archives[pole.key.name]

    def hear(self, *texts: str) -> list[Finding | None]:
        return [self.house.take("jp/142069/sp/v1/sp03/audit/x", text.encode()) for text in texts]
