"""A pole's footage side without a camera: real table, keystore, store and ledger; small real chunks."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import pyrage
from pyrage import x25519

from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.bundle.index import Index
from firmware.custody.bundle.making import Holdings, make_bundle
from firmware.custody.bundle.span import Span
from firmware.custody.desk.approvals import Approvals, prove_approvals
from firmware.custody.desk.opening import OfficerKeys
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.office.fields import Span as Asked
from firmware.custody.office.journal import Journal
from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.holds import LedgerHolds
from firmware.footage.manifest import ChunkEntry, ClockEntry, GapEntry, Manifest, Origin, sha256_of
from firmware.footage.nesting import pack, seal_for
from firmware.footage.ports import Keystore, MintedEpoch
from firmware.footage.store import Store
from firmware.footage.table import EpochTable
from firmware.ground import note
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, MinuteNumber, SimulatedClock, minute_of
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log
from firmware.ground.note import Signer
from tests.parts.office import Office
from tests.signing import Ed25519Key

FIRST: Final = MinuteNumber(29_923_200)  # 2026-11-23T00:00Z
DOCUMENT: Final = "小刑発第123号"
FPS: Final = 2
CHUNK_SECONDS: Final = 10
FRAMES: Final = FPS * CHUNK_SECONDS
WIDTH, HEIGHT = 96, 64


@functools.cache
def film_of(shade: int) -> bytes:
    """Ten seconds of flat grey in a self-contained fragmented MP4."""
    out = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(out, "w", format="mp4", options=options) as container:
        settings = {"preset": "ultrafast", "tune": "zerolatency", "qp": "4"}
        stream = container.add_stream("libx264", rate=FPS, options=settings)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        picture[:HEIGHT] = shade
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return out.getvalue()


@dataclass(frozen=True)
class Film:
    """What one chunk holds, instead of flat grey: a self-contained MP4, its pictures, how many a second."""

    data: bytes
    frames: int
    fps: int


def shade_of(epoch: int, sequence: int) -> int:
    """The brightness of a chunk's pictures, by which a test knows it again."""
    return 30 + ((epoch - FIRST) * 6 + sequence) * 7 % 190


@dataclass(frozen=True)
class Officers:
    """One officer of each group."""

    a: x25519.Identity
    b: x25519.Identity
    third: x25519.Identity | None = None
    """With a third officer any two of the three open."""

    @classmethod
    def appoint(cls) -> Officers:
        return cls(x25519.Identity.generate(), x25519.Identity.generate())

    @classmethod
    def three(cls) -> Officers:
        return cls(*(x25519.Identity.generate() for _ in range(3)))

    def keys(self) -> OfficerKeys:
        return OfficerKeys([self.a], [self.b])


class SmallPole:
    """Records, erases and hands out at a simulated time; everything under ``state``."""

    def __init__(
        self, state: Path, officers: Officers, clock: SimulatedClock, key: Signer, keystore: Keystore | None = None
    ) -> None:
        self.state = state
        self.keystore = keystore or SoftwareKeystore(state / "keystore", Log(io.StringIO()))
        self.officers = officers
        self.clock = clock
        self.key = key
        self.store = Store(state / "footage")
        self.table = self._open_table()
        self.ledger = Ledger.open(state / "ledger", key, clock)
        self.lock = PoleLock(state / "lock")
        self.identities = dict[int, x25519.Identity]()
        self.clock_proven = True
        self.office = Office(state.parent, clock, signer=key, state=state)
        self.cases = 0

    @classmethod
    async def begin(
        cls,
        state: Path,
        *,
        minutes: int = 10,
        key: Signer | None = None,
        keystore: Keystore | None = None,
        officers: Officers | None = None,
    ) -> SmallPole:
        clock = SimulatedClock(FIRST * NS_PER_MINUTE)
        pole = cls(state, officers or Officers.appoint(), clock, key or Ed25519Key(), keystore)
        pole.ledger.append("ledger.started", pole="sp03", generation=0)
        await pole.mint(minutes)
        return pole

    def holdings(self) -> Holdings:
        """What the custodian's own process has: the same files, nothing of this one's memory."""
        ledger = Ledger.open(self.state / "ledger", self.key, self.clock, mend=False)
        return Holdings(
            pole="sp03",
            camera="cam0",
            store=self.store,
            table=self._open_table(),
            ledger=ledger,
            holds=LedgerHolds(ledger, self.state / "ledger", 336),
            lock=PoleLock(self.state / "lock"),
            signer=self.key,
            clock=self.clock,
            trust=TrustedTime(self.clock),
            retention_hours=336,
            release_open=lambda: self.clock_proven,
        )

    async def journal(self, holdings: Holdings) -> Journal:
        """The office's acts as the custodian's own process reads them."""

        def instant() -> tuple[int, bool]:
            return holdings.trust.now_ns(), holdings.release_open()

        return await Journal.open(
            self.office.acts, "sp03", holdings.ledger, holdings.lock, self.office.signatures, instant
        )

    async def sealed_case(self, *spans: Span, document: str = DOCUMENT) -> str:
        """Have the office lead a case for ``spans`` to its seal, every act signed by the officers' own keys."""
        holdings = self.holdings()
        journal = await self.journal(holdings)
        self.cases += 1
        case = f"2026-{self.cases:04}"
        asked = [Asked(camera="cam0", first_epoch=span.first, last_epoch=span.last) for span in spans]
        await self.office.seal_a_case(journal, case, *asked, document=document)
        self.ledger.refresh()
        return case

    async def bundle(self, out: Path, *spans: Span, document: str = DOCUMENT) -> Index:
        """Make the bundle of a sealed case for ``spans``."""
        case = await self.sealed_case(*spans, document=document)
        return await self.bundle_of(case, out)

    async def bundle_of(self, case: str, out: Path) -> Index:
        """Make the bundle of that case as the custodian's own process does."""
        holdings = self.holdings()
        return await make_bundle(holdings, await self.journal(holdings), case, out)

    def prove(self, checked: CheckedBundle) -> Approvals:
        """Judge approvals as the desk does, by the office's own list of keys."""
        return prove_approvals(checked, self.office.signatures, self.office.keys)

    def _open_table(self) -> EpochTable:
        return EpochTable(self.state / "footage", self.keystore)

    def public_key(self) -> PoleKey:
        return PoleKey.parse(note.verifier_text(self.key.name, self.key.algorithm, self.key.public_key), where="")

    async def mint(self, minutes: int) -> None:
        """Make the keys of ``minutes`` minutes from FIRST on, as the mint does."""
        entries = []
        for epoch in range(FIRST, FIRST + minutes):
            identity = x25519.Identity.generate()
            groups = [
                [str(each.to_public())] for each in (self.officers.a, self.officers.b, self.officers.third) if each
            ]
            sealed = pack(seal_for(str(identity).encode(), groups))
            entries.append(MintedEpoch(MinuteNumber(epoch), str(identity.to_public()), sealed))
            self.identities[epoch] = identity
        await self.table.load(FIRST)
        await self.table.rewrite([], entries, FIRST)

    def record(self, epoch: int, *, chunks: int = 6, gaps: tuple[GapEntry, ...] = (), film: Film | None = None) -> None:
        """Write one minute as the recorder, store and clerk do, and let its time pass."""
        entries = []
        frames, fps = (film.frames, film.fps) if film else (FRAMES, FPS)
        for sequence in range(chunks):
            recipient = self.identities[epoch].to_public()
            plain = film.data if film else film_of(shade_of(epoch, sequence))
            sealed = pyrage.encrypt(plain, [recipient])
            path = self.store.chunk_path(MinuteNumber(epoch), sequence)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(sealed)
            begin_ns = epoch * NS_PER_MINUTE + sequence * CHUNK_SECONDS * NS_PER_SECOND
            entries.append(
                ChunkEntry(
                    sequence=sequence,
                    ciphertext_bytes=len(sealed),
                    sha256=sha256_of(sealed),
                    frames=frames,
                    first_pts_90k=0,
                    last_pts_90k=(frames - 1) * 90_000 // fps,
                    first_utc_ns=begin_ns,
                    last_utc_ns=begin_ns + (frames - 1) * NS_PER_SECOND // fps,
                )
            )
        manifest = Manifest(
            origin=Origin(pole="sp03", camera="cam0", software="0.1.0", config_sha256="0" * 64, keystore="software"),
            epoch=epoch,
            recovered=False,
            chunks=tuple(entries),
            gaps=gaps,
            clock=ClockEntry(source="machine", proven=False, uncertainty_ms=-1, line_ahead_ms=0),
        )
        digest = self.store.write_manifest(manifest)
        self.ledger.append("minute.sealed", epoch=epoch, manifest=digest)
        self.pass_to(epoch + 1)

    def pass_to(self, epoch: int) -> None:
        self.clock.step(max(0, epoch * NS_PER_MINUTE - self.clock.utc_ns()))

    async def erase(self, first: int, last: int) -> int:
        """Erase minutes as retention does: their keys, then the ledger's line, then the files. Returns the line."""
        epochs = [MinuteNumber(epoch) for epoch in range(first, last + 1)]
        await self.table.load(FIRST)
        done = await self.table.rewrite(epochs, [], minute_of(self.clock.utc_ns()))
        line = self.ledger.append(
            "epochs.erased",
            first_epoch=first,
            last_epoch=last,
            epochs=len(epochs),
            generation=done.generation,
            method="secret_overwritten",
            keystore="software",
        )
        self.store.remove(epochs)
        return line
