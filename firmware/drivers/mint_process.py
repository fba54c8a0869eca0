"""The mint behind its wall: started, asked, ended.

Knows:  the officers' public keys, minted pairs as they may leave the mint.
Never:  a private half: an answer that is not age ciphertext is refused, and no error shows an answer's bytes.
Leaves: pairs for ``footage.table``; no process.
Clauses: 7.3(1)1 (identities exist for less than a second, in a process that can reach nothing).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from firmware.drivers.jail import ANSWER_BYTES_AT_MOST, Limits, Profile, spawn
from firmware.footage.nesting import unpack
from firmware.footage.ports import MintedEpoch
from firmware.footage.settings import Officers
from firmware.ground.clock import Clock, MinuteNumber
from firmware.ground.errors import JailError, KeystoreError
from firmware.ground.log import Log

_ASK_SECONDS: Final = 10.0
_LIMITS: Final = Limits(data_bytes=256 * 1024 * 1024)
_RECIPIENT: Final = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_AGE_FILE: Final = b"age-encryption.org/v1\n-> X25519 "
_THREE: Final = 3
_MOST_A_REQUEST: Final = 60


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: int
    recipient: str
    sealed_identity: str


class MintProcess:
    """Implements ``footage.ports.Mint`` with a fresh jailed process each time."""

    def __init__(self, officers: Officers, *, profile: Profile, clock: Clock, log: Log) -> None:
        self._groups = [list(group) for group in officers.groups]
        self._profile: Profile = profile
        self._clock = clock
        self._log = log

    async def make(self, first_epoch: MinuteNumber, count: int) -> Sequence[MintedEpoch]:
        """See the port."""
        if count <= 0:
            return []
        try:
            child = await spawn(
                "firmware.mint",
                argument={"groups": self._groups},
                lend={},
                limits=_LIMITS,
                profile=self._profile,
                clock=self._clock,
                log=self._log,
            )
            try:
                made: list[MintedEpoch] = []
                while len(made) < count:
                    first = MinuteNumber(first_epoch + len(made))
                    batch = min(count - len(made), self._batch())
                    request = msgspec.json.encode({"first_epoch": first, "count": batch})
                    made += _read(await child.ask(request, _ASK_SECONDS), first, batch)
            finally:
                await child.close()
        except JailError as error:
            raise _refused(f"{error.code}: {error.what}") from None
        return made

    def _batch(self) -> int:
        """Return how many epochs surely fit an answer: 100 bytes a recipient, 1000 besides, in base64.

        (age files carry a stanza of random length, so that readers stay tolerant of unknown ones; some 300 bytes.)
        """
        files = 3 if len(self._groups) == _THREE else 1
        sealed_bytes = files * (1000 + 100 * sum(len(group) for group in self._groups))
        return max(1, min(_MOST_A_REQUEST, ANSWER_BYTES_AT_MOST // (sealed_bytes * 4 // 3 + 140)))


def _read(answer: bytes, first: MinuteNumber, count: int) -> list[MintedEpoch]:
    """Judge an answer; nothing of it is ever shown."""
    try:
        lines = [msgspec.json.decode(line, type=_Line) for line in answer.split(b"\n")]
        entries = [
            MintedEpoch(MinuteNumber(line.epoch), line.recipient, base64.b64decode(line.sealed_identity, validate=True))
            for line in lines
        ]
    except (msgspec.DecodeError, ValueError):
        raise _refused("its answer cannot be read") from None
    good = all(
        _RECIPIENT.fullmatch(entry.recipient) and all(file.startswith(_AGE_FILE) for file in _files(entry))
        for entry in entries
    )
    if not good or [entry.epoch for entry in entries] != list(range(first, first + count)):
        raise _refused("its answer is not what was asked for")
    return entries


def _files(entry: MintedEpoch) -> list[bytes]:
    try:
        return list(unpack(entry.sealed_identity).values())
    except ValueError:
        return [b""]


def _refused(what: str) -> KeystoreError:
    return KeystoreError(
        "E-KEY-MINT",
        f"no new epochs: {what}",
        where="firmware.mint",
        todo="check the officers' public keys in footage.toml; recording stops when the made epochs are used up",
        clause="7.3(1)1",
    )
