"""An officer's signed time, for a pole that no network reaches: challenge, answer, what the answer proves.

Knows:  the pole's challenge, an act ``clock.stated``, the machine's UTC and time since boot.
Never:  a clock set, an answer to another boot's challenge, an answer used twice, a wrong UTC called proven.
Leaves: an open challenge; an officer's word for the pole, which takes it within ten seconds.
Clauses: 7.1(3) (ages by a proven clock), 7.2(1) (nothing is handed out before), 7.3(1)3 (the act stands in the ledger).

The officer read the own clock after the challenge was drawn and before the answer came back, so true time lies between
what was stated and that plus the time the round trip took on this machine. The pole's UTC is proven only if it lies
there too (two seconds of leave); the uncertainty is the farther end, and a second because the statement has whole ones.
Otherwise the refusal says by how much the pole's UTC is off: somebody with the right to must set it first.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from firmware.custody.office.acts import TimeStated
from firmware.custody.office.context import ns_of
from firmware.custody.office.journal import Entry, Journal, decoded
from firmware.footage.clock_files import (
    WORD_SECONDS,
    Challenge,
    OfficerWord,
    challenge_in,
    drop_record,
    read_record,
    word_in,
    write_record,
)
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import CaseError
from firmware.ground.lock import PoleLock

_LEAVE_NS: Final = 2 * NS_PER_SECOND
_NS_PER_MS: Final = 1_000_000


async def draw_challenge(
    folder: Path, pole: str, clock: Clock, lock: PoleLock, random: Callable[[int], bytes] = os.urandom
) -> Challenge:
    """Open a challenge in the footage ``folder``; the last one is void. Raises StoreError."""
    boot_id, boot_ns = clock.boot_id(), clock.boot_ns()
    bound = b"\n".join((random(32), pole.encode("ascii"), boot_id.encode("ascii"), str(boot_ns).encode("ascii")))
    challenge = Challenge(nonce=hashlib.sha256(bound).hexdigest(), boot_id=boot_id, boot_ns=boot_ns)
    await lock.during(asyncio.to_thread(write_record, challenge_in(folder), challenge))
    return challenge


def judge(act: TimeStated, challenge: Challenge | None, clock: Clock) -> OfficerWord:
    """Return what ``act``, whose signature and signer are judged elsewhere, proves now. Pure but for the clock.

    Raises :class:`CaseError`: E-CLOCK-CHALLENGE, E-CLOCK-SLOW, E-CLOCK-APART.
    """
    utc_ns = clock.utc_ns()
    boot_ns = clock.boot_ns()
    if challenge is None or challenge.nonce != act.challenge or challenge.boot_id != clock.boot_id():
        raise _refusal("E-CLOCK-CHALLENGE", "this answers no open challenge of this pole since it was switched on")
    round_trip_ns = boot_ns - challenge.boot_ns
    if not 0 <= round_trip_ns <= WORD_SECONDS * NS_PER_SECOND:
        raise _refusal(
            "E-CLOCK-SLOW", f"the answer took {round_trip_ns // NS_PER_SECOND} s, at most {WORD_SECONDS} s count"
        )
    earliest_ns = ns_of(act.officers_utc, where="officers_utc")
    latest_ns = earliest_ns + round_trip_ns + NS_PER_SECOND
    off_ns = max(earliest_ns - utc_ns, utc_ns - latest_ns)
    if off_ns > _LEAVE_NS:
        side = "behind" if utc_ns < earliest_ns else "ahead of"
        raise CaseError(
            "E-CLOCK-APART",
            f"the pole's UTC is {off_ns // NS_PER_SECOND} s {side} the officer's clock",
            where="officers_utc",
            todo="check the officer's clock; if it is right, have the pole's administrator set the pole's (timedatectl"
            " set-time, in UTC), then ask for a new challenge",
            clause="7.1(3)",
        )
    width_ns = max(abs(utc_ns - earliest_ns), abs(latest_ns - utc_ns))
    return OfficerWord(
        boot_id=challenge.boot_id,
        boot_ns=boot_ns,
        machine_ns=utc_ns - boot_ns,
        uncertainty_ms=-(-width_ns // _NS_PER_MS),
    )


async def confirm(
    journal: Journal, data: bytes, given: Mapping[str, bytes], folder: Path, clock: Clock, lock: PoleLock
) -> tuple[Entry, OfficerWord]:
    """Do the act in ``data`` (``clock.stated``, signed by ``given``) and leave the word for the pole.

    Raises what :func:`judge` and :meth:`Journal.submit` do; nothing is left then, and the challenge stays open.
    """
    act = decoded(data)
    if not isinstance(act, TimeStated):
        raise _refusal("E-CLOCK-CHALLENGE", "this act states no time")
    return await lock.during(_confirm(journal, act, data, given, folder, clock))


async def _confirm(
    journal: Journal, act: TimeStated, data: bytes, given: Mapping[str, bytes], folder: Path, clock: Clock
) -> tuple[Entry, OfficerWord]:
    challenge = await asyncio.to_thread(read_record, challenge_in(folder), Challenge)
    word = judge(act, challenge, clock)
    entry = await journal.submit_locked(data, given)
    await asyncio.to_thread(drop_record, challenge_in(folder))  # used up before it counts: never twice
    await asyncio.to_thread(write_record, word_in(folder), word)
    return entry, word


def _refusal(code: str, what: str) -> CaseError:
    return CaseError(
        code, what, where="clock.stated", todo="ask for a new challenge: pole-custodian time challenge", clause="7.1(3)"
    )
