"""An officer's signed time: real keys, a real journal; what it proves, and everything that proves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.office import stated_time
from firmware.custody.office.acts import TimeStated
from firmware.custody.office.journal import Journal
from firmware.footage.clock_files import Challenge, OfficerWord, challenge_in, read_record, word_in
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, iso_utc
from firmware.ground.errors import CaseError
from tests.parts.office import POLE, Office
from tests.parts.small_pole import FIRST

TRUE_NS = FIRST * NS_PER_MINUTE


@dataclass
class Visit:
    """An officer at a pole whose UTC is off by ``off_seconds``."""

    office: Office
    journal: Journal
    folder: Path

    async def challenge(self) -> Challenge:
        return await stated_time.draw_challenge(self.folder, POLE, self.office.clock, self.office.lock)

    def states(self, challenge: Challenge, *, ahead_seconds: int = 0, by: str = "manager") -> TimeStated:
        """The officer's own clock, ``ahead_seconds`` of the pole's."""
        act = self.office.draw_up(
            TimeStated,
            by,
            challenge=challenge.nonce,
            officers_utc=iso_utc(self.office.clock.utc_ns() + ahead_seconds * NS_PER_SECOND),
        )
        assert isinstance(act, TimeStated)
        return act

    async def confirms(self, act: TimeStated, *, signer: str = "") -> OfficerWord:
        signed = await self.office.sign(act, signer or act.by)
        given = {act.by: signed[signer or act.by]}
        clock, lock = self.office.clock, self.office.lock
        _, word = await stated_time.confirm(self.journal, act.encoded(), given, self.folder, clock, lock)
        return word

    async def passes(self, seconds: int) -> None:
        await self.office.clock.advance_to(self.office.clock.utc_ns() + seconds * NS_PER_SECOND)

    async def refused(self, act: TimeStated, *, signer: str = "") -> str:
        with pytest.raises(CaseError) as caught:
            await self.confirms(act, signer=signer)
        assert not word_in(self.folder).exists()
        return caught.value.code


@pytest.fixture
async def visit(tmp_path: Path) -> Visit:
    office = Office(tmp_path)
    journal = await office.found("handler", "duty", "auditor")
    folder = tmp_path / "state" / "footage"
    folder.mkdir()
    return Visit(office, journal, folder)


async def test_an_answer_in_time_is_a_word_for_the_pole_and_a_line_of_the_ledger(visit: Visit) -> None:
    challenge = await visit.challenge()
    await visit.passes(20)
    act = visit.states(challenge)
    await visit.passes(40)
    word = await visit.confirms(act)
    assert read_record(word_in(visit.folder), OfficerWord) == word
    clock = visit.office.clock
    assert (word.boot_id, word.machine_ns) == (clock.boot_id(), clock.utc_ns() - clock.boot_ns())
    assert word.uncertainty_ms == 40_000  # stated 40 s ago; at most 61 s minus those 40 the other way
    assert visit.journal.entries[-1].act == act
    assert not challenge_in(visit.folder).exists()


async def test_an_answer_counts_once_and_for_the_last_challenge_only(visit: Visit) -> None:
    old = await visit.challenge()
    challenge = await visit.challenge()
    assert old.nonce != challenge.nonce
    assert await visit.refused(visit.states(old)) == "E-CLOCK-CHALLENGE"
    act = visit.states(challenge)
    await visit.confirms(act)
    word_in(visit.folder).unlink()
    assert await visit.refused(act) == "E-CLOCK-CHALLENGE"


async def test_ten_minutes_and_no_longer(visit: Visit) -> None:
    challenge = await visit.challenge()
    act = visit.states(challenge)
    await visit.passes(600)
    assert (await visit.confirms(act)).uncertainty_ms == 600_000
    word_in(visit.folder).unlink()
    late = visit.states(await visit.challenge())
    await visit.passes(601)
    assert await visit.refused(late) == "E-CLOCK-SLOW"


async def test_another_boot_is_another_challenge(visit: Visit) -> None:
    act = visit.states(await visit.challenge())
    visit.office.clock = SimulatedClock(visit.office.clock.utc_ns())
    assert await visit.refused(act) == "E-CLOCK-CHALLENGE"


@pytest.mark.parametrize("ahead_seconds", [-86_400 * 15, -3600, -63, 25, 3600, 86_400 * 365])
async def test_a_pole_whose_utc_is_wrong_proves_nothing_and_says_by_how_much(visit: Visit, ahead_seconds: int) -> None:
    act = visit.states(await visit.challenge(), ahead_seconds=ahead_seconds)
    await visit.passes(20)
    with pytest.raises(CaseError, match="E-CLOCK-APART") as caught:
        await visit.confirms(act)
    assert "set-time" in caught.value.todo
    off = ahead_seconds - 20 if ahead_seconds > 0 else -ahead_seconds - 1
    assert f"{off} s" in caught.value.what


async def test_forged_and_unfit_signers(visit: Visit) -> None:
    act = visit.states(await visit.challenge())
    assert await visit.refused(act, signer="handler") == "E-OFFICE-FORGED"
    for account in ("auditor", "duty"):
        assert await visit.refused(visit.states(await visit.challenge(), by=account)) == "E-OFFICE-ROLE"
    assert await visit.refused(visit.states(await visit.challenge(), by="nobody")) == "E-OFFICE-UNKNOWN"
    assert challenge_in(visit.folder).exists()  # a refusal uses nothing up


@given(
    before=st.integers(0, 300 * 10**9),
    after=st.integers(0, 300 * 10**9),
    off_ns=st.integers(-400 * 10**9, 400 * 10**9),
)
def test_what_is_proven_holds_for_every_delay_on_the_way(before: int, after: int, off_ns: int) -> None:
    """The officer's clock is right; wherever within the round trip it was read, the pole's error is within the word."""
    clock = SimulatedClock(TRUE_NS + off_ns)
    challenge = Challenge(nonce="0" * 64, boot_id=clock.boot_id(), boot_ns=clock.boot_ns())
    stated = iso_utc(TRUE_NS + before)
    act = TimeStated(pole=POLE, utc=stated, by="manager", nonce="0" * 32, challenge="0" * 64, officers_utc=stated)
    clock._utc_ns += before + after
    clock._boot_ns += before + after
    try:
        word = stated_time.judge(act, challenge, clock)
    except CaseError as error:
        assert error.code == "E-CLOCK-APART"
        assert off_ns < -after or off_ns > before
    else:
        assert abs(off_ns) <= word.uncertainty_ms * 1_000_000
        assert word.uncertainty_ms <= (before + after) // 1_000_000 + 3_001
