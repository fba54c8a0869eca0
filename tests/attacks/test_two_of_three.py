"""Two of three officers: any two open, none alone, with stock age; by the mint's own files and at the desk."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.mint_process import MintProcess
from firmware.footage.nesting import PAIRS, WHOLE, pack, seal_for, unpack
from firmware.footage.settings import Officers
from firmware.ground.clock import MinuteNumber, SystemClock
from firmware.ground.config import OutOfLaw
from firmware.ground.log import Log
from tests.parts.footage_parts import Silence, recipient_and_key

KEYS = [[recipient_and_key() for _ in range(count)] for count in (2, 1, 3)]
"""Officers 1 and 3 have spare tokens."""

OFFICERS = Officers(two_of_three=tuple(tuple(recipient for recipient, _ in keys) for keys in KEYS))
SUBSETS = [subset for size in range(1, 4) for subset in itertools.combinations((1, 2, 3), size)]


def stock_age(folder: Path, sealed: bytes, identities: list[pyrage.x25519.Identity]) -> bytes | None:
    """Take one layer off with Debian's age, as a person would type it."""
    key = folder / "key"
    key.write_text("\n".join(str(identity) for identity in identities))
    done = subprocess.run(["age", "-d", "-i", key], input=sealed, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("subset", SUBSETS, ids=str)
async def test_any_two_open_one_opens_nothing(subset: tuple[int, ...], tmp_path: Path) -> None:
    mint = MintProcess(OFFICERS, profile="bench", clock=SystemClock(), log=Log(Silence()))
    (made,) = await mint.make(MinuteNumber(29_923_200), 1)
    files = unpack(made.sealed_identity)
    assert tuple(files) == PAIRS
    assert b"AGE-SECRET-KEY" not in made.sealed_identity
    opened = set()
    for pair, sealed in files.items():
        outer, inner = (
            [identity for _, identity in KEYS[int(officer) - 1]] if int(officer) in subset else [] for officer in pair
        )
        mine = [key for officer in subset for _, key in KEYS[officer - 1]]
        first = stock_age(tmp_path, sealed, mine)
        assert (first is not None) == bool(outer)
        if first is not None:
            assert b"AGE-SECRET-KEY" not in first  # the outer layer off: still nothing in clear
            second = stock_age(tmp_path, first, mine)
            assert (second is not None) == bool(inner)
            if second is not None:
                assert str(pyrage.x25519.Identity.from_str(second.decode()).to_public()) == made.recipient
                opened.add(pair)
    assert opened == {pair for pair in PAIRS if set(map(int, pair)) <= set(subset)}
    assert bool(opened) == (len(subset) >= 2)


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_each_of_an_officers_keys_is_as_good_as_the_other(spare: int) -> None:
    files = seal_for(b"x", OFFICERS.groups)
    of_2, of_3 = KEYS[1][0][1], KEYS[2][spare][1]
    assert pyrage.decrypt(pyrage.decrypt(files["23"], [of_2]), [of_3]) == b"x"


@given(st.binary(max_size=200))
def test_only_what_was_packed_is_unpacked(junk: bytes) -> None:
    for groups in (OFFICERS.groups, OFFICERS.groups[:2], OFFICERS.groups[:1]):
        files = seal_for(b"x", groups)
        assert unpack(pack(files)) == files
    three = pack(seal_for(b"x", OFFICERS.groups))
    for wrong in (b"x" + junk, b"POLE2OF3" + junk, three + b"x" + junk, three[:-1], three[:9]):
        with pytest.raises(ValueError, match="age file"):
            unpack(wrong)
    assert set(unpack(pack(seal_for(b"x", OFFICERS.groups[:2])))) == {WHOLE}


@pytest.mark.parametrize(
    ("a", "three"),
    [
        ((KEYS[0][0][0],), OFFICERS.two_of_three),  # two rules
        ((), OFFICERS.two_of_three[:2]),
        ((), (*OFFICERS.two_of_three[:2], ())),
        ((), (*OFFICERS.two_of_three, (recipient_and_key()[0],))),
        ((), (OFFICERS.two_of_three[0], OFFICERS.two_of_three[0], OFFICERS.two_of_three[1])),  # one person twice
        ((), ()),
    ],
)
def test_a_rule_that_is_none_is_refused(a: tuple[str, ...], three: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(OutOfLaw):
        Officers(a=a, two_of_three=three)
