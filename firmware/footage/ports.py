"""What the footage house needs from outside itself.

Knows:  frames of the main stream, slots for secrets, public keys, who vouches for UTC.
Never:  how a frame is encoded, where a secret lies, how a child is jailed.
Leaves: nothing; drivers implement these ports.
Clauses: 7.3(1)1 (the secret's place), 7.1(1) (pixels in, ciphertext out), 7.1(3) (a secret can be destroyed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from firmware.ground.clock import MinuteNumber

SecretSlot = Literal[0, 1]
"""One of the two places for the epoch table's secret; they take turns."""

SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ChunkFacts:
    """What a recorder tells of the chunk it has just sealed: times and sizes, nothing of the picture.

    ``frames`` pictures; ``first_pts_90k``/``last_pts_90k`` presentation times of the first and last, in 1/90000 s;
    ``ciphertext_bytes`` written to the lent descriptor.
    """

    frames: int
    first_pts_90k: int
    last_pts_90k: int
    ciphertext_bytes: int


class FrameStamp(Protocol):
    """When a frame was taken (``firmware.camera.frames.CaptureStamp`` is one)."""

    @property
    def utc_ns(self) -> int:
        """UTC at capture, ns."""

    @property
    def boot_ns(self) -> int:
        """Time since boot at capture, ns."""

    @property
    def pts_90k(self) -> int:
        """Presentation time, 1/90000 s, on the camera's own line."""


class LentFrame(Protocol):
    """A leased frame or packet of the MAIN stream; dead after its lease.

    The recorder reads the slot in its own read-only view of the pool; only ``slot`` and ``length`` travel.
    """

    @property
    def slot(self) -> int:
        """Index of the slot in the pool's memory."""

    @property
    def length(self) -> int:
        """Bytes in use in the slot."""

    @property
    def keyframe(self) -> bool:
        """Whether decoding may start here (always true for a raw picture)."""

    @property
    def stamp(self) -> FrameStamp:
        """When it was taken."""


class Recorder(Protocol):
    """The footage processing system behind its wall: pixels or packets in, ciphertext out.

    Every call raises ``firmware.ground.errors.JailError`` when the child missed its deadline, died or answered
    nonsense; it has then been killed and reaped, the chunk in hand is lost, and the next ``begin`` starts a new one.
    """

    async def begin(self, descriptor: int, recipient: str) -> None:
        """Begin a chunk: write it to ``descriptor`` (lent, empty, write-only), sealed to ``recipient``."""

    async def add(self, frame: LentFrame) -> None:
        """Take one frame or packet. Must be called while its lease is held."""

    async def end(self) -> ChunkFacts:
        """Finish the chunk: all ciphertext is in the descriptor (not yet fsynced). At least one frame was added."""


class Keystore(Protocol):
    """Two slots for the 32-byte secret that opens the current epoch table."""

    @property
    def name(self) -> Literal["software", "tpm2"]:
        """What it is; goes to status, manifests and certificates."""

    @property
    def erases(self) -> bool:
        """Whether an overwritten secret is gone from the world (hardware), or may survive in old copies of a file."""

    async def read_secret(self, slot: SecretSlot) -> bytes | None:
        """Return the 32 bytes in ``slot``, or None where none was written or it was erased. Raises KeystoreError."""

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        """Put ``secret`` (32 bytes, not all zero) into ``slot``, durably, over what is there. Raises KeystoreError."""

    async def erase_secret(self, slot: SecretSlot) -> None:
        """Overwrite ``slot`` durably: reading it then gives None. An empty slot is fine. Raises KeystoreError."""


@dataclass(frozen=True, slots=True)
class MintedEpoch:
    """One epoch's pair as it leaves the mint: the private half is already encrypted to both officers' groups.

    ``recipient`` is ``age1...``; ``sealed_identity`` is the age file age(group A, age(group B, identity)), or for two
    of three officers what ``nesting.pack`` makes of three such files.
    """

    epoch: MinuteNumber
    recipient: str
    sealed_identity: bytes


@dataclass(frozen=True, slots=True)
class NetworkTime:
    """The machine's UTC agrees with an authenticated source to ``uncertainty_ms`` (root distance, rounded up).

    ``sample_age_seconds``: how long ago that source last answered, by the time daemon's reckoning.
    """

    uncertainty_ms: int
    sample_age_seconds: int


class TimeSource(Protocol):
    """Tells whether the machine's UTC is synchronised to a source that proves who it is."""

    async def read(self) -> NetworkTime | None:
        """Return the present standing; None where nothing is proven, for whatever reason. Never raises PoleError."""


class Mint(Protocol):
    """Makes epoch pairs in a process of its own that then ends."""

    async def make(self, first_epoch: MinuteNumber, count: int) -> Sequence[MintedEpoch]:
        """Return pairs for ``count`` epochs from ``first_epoch`` on, in order. Raises KeystoreError."""
