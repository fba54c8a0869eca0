"""Sealing: plaintext in, a stock age file out. This module cannot open anything.

Knows:  a recipient's public key.
Never:  a private key, a way back, a format of our own (``age -d`` opens what leaves here).
Leaves: C2SP age version 1 with one X25519 recipient, written piece by piece.
Clauses: 7.3(1)1 (nobody but the holders of the epoch's identity can open), 7.1(1) (pixels in, ciphertext out).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pyrage

from firmware.footage.chunk import PlainBuffer

HEADER_BYTES_AT_MOST: Final = 1_024
"""How much of a file's beginning :func:`is_sealed` needs to see at most."""

_HEADER: Final = re.compile(
    rb"age-encryption\.org/v1\n"
    rb"-> X25519 [A-Za-z0-9+/]{43}\n[A-Za-z0-9+/]{43}\n"
    rb"(?:-> [!-~]{0,32}-grease(?: [!-~]+)*\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)?"
    rb"--- [A-Za-z0-9+/]{43}\n"
)


class _Reader:
    def __init__(self, plain: PlainBuffer) -> None:
        self._plain = plain
        self._offset = 0

    def read(self, length: int = -1) -> bytes:
        piece = self._plain.read_at(self._offset, length if length >= 0 else self._plain.used)
        self._offset += len(piece)
        return piece


class _Writer:
    def __init__(self, write: Callable[[memoryview], int]) -> None:
        self._write = write
        self.written = 0
        self.failure: OSError | None = None

    def write(self, piece: bytes) -> int:
        left = memoryview(piece)
        if self.failure is not None:
            raise self.failure
        try:
            while left:
                left = left[self._write(left) :]
        except OSError as error:
            self.failure = error
            raise
        self.written += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: every write has already left."""


def _parse(recipient: str) -> pyrage.x25519.Recipient | None:
    try:
        return pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        return None


def is_recipient(text: str) -> bool:
    """Return whether ``text`` is the public half of an epoch's pair (``age1...``, X25519)."""
    return _parse(text) is not None


def seal(plain: PlainBuffer, recipient: str, write: Callable[[memoryview], int]) -> int:
    """Encrypt what stands in ``plain`` to ``recipient`` (``age1...``) and hand it to ``write`` piece by piece.

    Returns the number of ciphertext bytes. ``plain`` is left as it is: whoever filled it wipes it.
    Raises ValueError for what is not a recipient, and whatever OSError ``write`` raised.
    """
    public = _parse(recipient)
    if public is None:
        message = "not an age X25519 recipient"
        raise ValueError(message)
    writer = _Writer(write)
    try:
        pyrage.encrypt_io(_Reader(plain), writer, [public])
    except pyrage.EncryptError:
        if writer.failure is None:
            raise
    if writer.failure is not None:  # the library says nothing of a write that fails at the very end
        raise writer.failure
    return writer.written


def is_sealed(beginning: bytes) -> bool:
    """Return whether ``beginning`` (a file's first ``HEADER_BYTES_AT_MOST`` bytes) is an age header for one recipient.

    Exactly one X25519 stanza: a second reader would have to stand here. Random ``-grease`` stanzas, which age
    implementations add so that readers stay tolerant, open nothing and may follow.
    """
    return _HEADER.match(beginning) is not None
