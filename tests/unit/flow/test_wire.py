"""The codec lets exactly the right 64 bytes through (6.1(4))."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.flow import wire
from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.slice import SliceCounts

nonces = st.binary(min_size=16, max_size=16)
NONE: frozenset[Dimension] = frozenset()


@st.composite
def answers(draw: st.DrawFn) -> tuple[SliceCounts, frozenset[Dimension]]:
    persons = draw(st.integers(0, 64))
    switched_on = frozenset(draw(st.sets(st.sampled_from(Dimension))))
    split = {}
    for dimension in switched_on:
        cuts = sorted(draw(st.integers(0, persons)) for _ in CATEGORIES[dimension][1:])
        split[dimension.value] = tuple(b - a for a, b in zip([0, *cuts], [*cuts, persons], strict=True))
    return SliceCounts(persons, **split), switched_on


@given(answers(), nonces)
def test_what_goes_in_comes_out(answer: tuple[SliceCounts, frozenset[Dimension]], nonce: bytes) -> None:
    counts, switched_on = answer
    message = wire.encode_reply(nonce, counts)
    assert len(message) == 64
    assert wire.decode_reply(message, nonce, switched_on) == counts


@given(answers(), nonces, st.integers(0, 63), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_another_lawful_count(
    answer: tuple[SliceCounts, frozenset[Dimension]], nonce: bytes, place: int, flip: int
) -> None:
    counts, switched_on = answer
    message = bytearray(wire.encode_reply(nonce, counts))
    message[place] ^= flip
    try:
        found = wire.decode_reply(bytes(message), nonce, switched_on)
    except wire.Refused:
        return
    # Only the number of persons itself can change unnoticed, and only where no attribute's sum would tell.
    assert place == 24
    assert not switched_on
    assert found.persons != counts.persons


@given(st.binary(max_size=80), nonces)
def test_noise_is_refused(message: bytes, nonce: bytes) -> None:
    for decode in (lambda: wire.decode_reply(message, nonce, NONE), lambda: wire.decode_about(message, nonce)):
        with pytest.raises(wire.Refused):
            decode()
    with pytest.raises(wire.Refused):
        wire.decode_request(message)


@given(nonces, nonces)
def test_an_answer_belongs_to_one_lease(first: bytes, second: bytes) -> None:
    message = wire.encode_reply(first, SliceCounts(2))
    if first != second:
        with pytest.raises(wire.Refused, match="nonce"):
            wire.decode_reply(message, second, NONE)


def test_an_attribute_that_is_off_stays_off_and_one_that_is_on_must_be_there() -> None:
    nonce = bytes(16)
    told = wire.encode_reply(nonce, SliceCounts(2, sex=(1, 1, 0)))
    untold = wire.encode_reply(nonce, SliceCounts(2))
    with pytest.raises(wire.Refused, match="sums"):
        wire.decode_reply(told, nonce, NONE)
    with pytest.raises(wire.Refused, match="sums"):
        wire.decode_reply(untold, nonce, frozenset({Dimension.SEX}))


@pytest.mark.parametrize("place", [6, 7, *range(48, 64)])
def test_nothing_hides_in_spare_bytes(place: int) -> None:
    message = bytearray(wire.encode_reply(bytes(16), SliceCounts(1)))
    message[place] = 1
    with pytest.raises(wire.Refused, match="spare"):
        wire.decode_reply(bytes(message), bytes(16), NONE)


def test_a_refusal_is_refused() -> None:
    with pytest.raises(wire.Refused, match="status"):
        wire.decode_reply(wire.encode_refusal(), bytes(16), NONE)


@given(st.integers(0, 65535), nonces)
def test_requests(slot: int, nonce: bytes) -> None:
    assert wire.decode_request(wire.encode_request(slot, nonce)) == wire.Request(slot, nonce)
    assert wire.decode_request(wire.encode_about_request(nonce)) == wire.Request(None, nonce)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), nonces)
def test_about(bare_us: int, load_us: int, nonce: bytes) -> None:
    about = wire.About(bare_us, load_us)
    assert wire.decode_about(wire.encode_about(nonce, about), nonce) == about
