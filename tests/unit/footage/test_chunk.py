"""A chunk starts by itself and its time rises; its plaintext is bounded and overwritten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.footage.chunk import (
    TICKS_A_SECOND,
    ChunkRefused,
    NalType,
    PlainBuffer,
    Refusal,
    Timeline,
    nal_types,
    starts_alone,
)

SPS, PPS, IDR, SLICE, SEI, AUD = NalType.SPS, NalType.PPS, NalType.IDR, NalType.SLICE, NalType.SEI, NalType.DELIMITER

payloads = st.binary(min_size=1, max_size=20).map(lambda raw: b"\xaa" + raw.replace(b"\x00", b"\x07"))
units = st.lists(st.tuples(st.integers(1, 12), payloads, st.booleans()), max_size=8)


def packet(kinds: list[tuple[int, bytes, bool]]) -> bytes:
    return b"".join(
        (b"\x00" if long_code else b"") + b"\x00\x00\x01" + bytes([0x60 | kind]) + payload
        for kind, payload, long_code in kinds
    )


def simple(*kinds: int) -> bytes:
    return packet([(kind, b"\xaa", True) for kind in kinds])


@given(units)
def test_unit_types_are_read_whatever_the_start_code(kinds: list[tuple[int, bytes, bool]]) -> None:
    data = packet(kinds)
    expected = tuple(kind for kind, _, _ in kinds)
    assert nal_types(data) == nal_types(memoryview(data)) == nal_types(bytearray(data)) == expected


@given(units)
def test_what_starts_alone_has_both_parameter_sets_before_its_first_picture(
    kinds: list[tuple[int, bytes, bool]],
) -> None:
    order = [kind for kind, _, _ in kinds]
    first_picture = next((place for place, kind in enumerate(order) if 1 <= kind <= 5), None)
    expected = first_picture is not None and order[first_picture] == 5 and {7, 8} <= set(order[:first_picture])
    assert starts_alone(packet(kinds)) == expected


@pytest.mark.parametrize(
    ("kinds", "alone"),
    [
        ((SPS, PPS, IDR), True),
        ((AUD, SPS, PPS, SEI, IDR, IDR), True),
        ((PPS, SPS, IDR), True),
        ((SPS, IDR), False),
        ((PPS, IDR), False),
        ((IDR, SPS, PPS), False),
        ((SPS, PPS, SLICE), False),
        ((SPS, PPS), False),
        ((), False),
    ],
)
def test_examples(kinds: tuple[int, ...], alone: bool) -> None:
    assert starts_alone(simple(*kinds)) == alone


def test_no_start_code_at_the_very_end_is_read_beyond() -> None:
    assert nal_types(simple(SPS) + b"\x00\x00\x01") == (SPS,)


@given(st.integers(-(2**40), 2**40), st.lists(st.integers(1, 9000), max_size=40))
def test_times_are_told_from_the_first_frame(first: int, steps: list[int]) -> None:
    line = Timeline(chunk_seconds=10)
    now, told = first, [line.take(first)]
    for step in steps:
        now += step
        told.append(line.take(now))
    assert told[0] == 0
    assert told == sorted(set(told))
    assert (line.frames, line.first_pts_90k, line.last_pts_90k) == (len(told), first, now)


@given(st.integers(0, 2**40), st.integers(-(2**30), 0))
def test_time_must_rise(first: int, step: int) -> None:
    line = Timeline(chunk_seconds=10)
    line.take(first)
    with pytest.raises(ChunkRefused) as refused:
        line.take(first + step)
    assert refused.value.reason is Refusal.TIME
    assert line.frames == 1


def test_a_chunk_ends_where_the_next_begins() -> None:
    line = Timeline(chunk_seconds=10)
    line.take(5)
    line.take(5 + 10 * TICKS_A_SECOND - 1)
    with pytest.raises(ChunkRefused) as refused:
        line.take(5 + 10 * TICKS_A_SECOND)
    assert refused.value.reason is Refusal.SPAN


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 200), st.integers(1, 64))
def test_plaintext_is_bounded_read_back_and_wiped(pieces: list[bytes], room: int, step: int) -> None:
    plain = PlainBuffer(room)
    written = b""
    for piece in pieces:
        if len(written) + len(piece) > room:
            with pytest.raises(ChunkRefused) as refused:
                plain.write(piece)
            assert refused.value.reason is Refusal.SIZE
        else:
            assert plain.write(piece) == len(piece)
            written += piece
    assert plain.used == len(written)
    assert b"".join(plain.read_at(offset, step) for offset in range(0, len(written), step)) == written
    plain.wipe()
    assert plain.used == 0
    assert bytes(plain._bytes) == bytes(room)
