"""The recorder's own rules, without a jail around them: order of requests, what is let go of, what is overwritten."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyrage
import pytest

import firmware.recorder
from firmware.footage.chunk import PlainBuffer
from firmware.footage.recorder_wire import Add, Begin, End, Reply, Request, Status, decode_reply, encode_request
from firmware.recorder import Recording

WIDTH, HEIGHT = 64, 48
FRAME_BYTES = WIDTH * HEIGHT * 3 // 2
SLOT_BYTES = -(-FRAME_BYTES // mmap.PAGESIZE) * mmap.PAGESIZE
H264 = {"width": WIDTH, "height": HEIGHT, "fps": 15, "bitrate_kbps": 100, "preset": "ultrafast", "gop_seconds": 2}
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())


class Buffers(list[PlainBuffer]):
    """Every plaintext buffer that was made."""


@pytest.fixture
def buffers(monkeypatch: pytest.MonkeyPatch) -> Buffers:
    made = Buffers()

    class Watched(PlainBuffer):
        def __init__(self, bytes_at_most: int) -> None:
            super().__init__(bytes_at_most)
            self.most_used = 0
            made.append(self)

        def write(self, piece: bytes | memoryview) -> int:
            try:
                return super().write(piece)
            finally:
                self.most_used = max(self.most_used, self.used)

    monkeypatch.setattr(firmware.recorder, "PlainBuffer", Watched)
    return made


@pytest.fixture
def recording(buffers: Buffers) -> Iterator[Recording]:
    slots = mmap.mmap(-1, 2 * SLOT_BYTES)
    np.frombuffer(slots, dtype=np.uint8)[:] = 99
    yield Recording(
        {
            "mode": "frames",
            "h264": H264,
            "chunk_seconds": 10,
            "chunk_bytes_at_most": 100_000,
            "slot_bytes": SLOT_BYTES,
            "slots": 2,
        },
        slots,
    )
    assert isinstance(buffers, Buffers)


def ask(recording: Recording, request: Request, *descriptors: int) -> Reply:
    reply = decode_reply(recording.answer(encode_request(request), list(descriptors)))
    assert reply.sequence == request.sequence
    return reply


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def lend(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY, 0o600)


def overwritten(buffer: PlainBuffer) -> bool:
    return buffer.used == 0 and not any(buffer._bytes)


def test_a_chunk_from_begin_to_end_leaves_nothing_behind(
    recording: Recording, buffers: Buffers, tmp_path: Path
) -> None:
    descriptor = lend(tmp_path)
    kept = os.dup(descriptor)
    assert ask(recording, Begin(1, RECIPIENT), descriptor).status is Status.DONE
    for place in range(3):
        assert ask(recording, Add(2 + place, 0, FRAME_BYTES, place * 6000, keyframe=True)).status is Status.DONE
    done = ask(recording, End(9))
    assert (done.status, done.frames, done.first_pts_90k, done.last_pts_90k) == (Status.DONE, 3, 0, 12_000)
    assert done.ciphertext_bytes == os.fstat(kept).st_size
    assert not is_open(descriptor)
    assert buffers[-1].most_used > 1_000, "a film was there"  # type: ignore[attr-defined]  # the watched kind
    assert overwritten(buffers[-1])
    os.close(kept)


def test_a_chunk_given_up_is_overwritten_too(recording: Recording, buffers: Buffers, tmp_path: Path) -> None:
    descriptor = lend(tmp_path)
    ask(recording, Begin(1, RECIPIENT), descriptor)
    for place in range(40):  # more than one group of pictures, so that a fragment has been written
        ask(recording, Add(2, 0, FRAME_BYTES, place * 6000, keyframe=True))
    assert buffers[-1].used > 1_000
    assert ask(recording, Add(3, 0, FRAME_BYTES, 0, keyframe=True)).status is Status.TIME
    assert overwritten(buffers[-1])
    assert not is_open(descriptor)
    assert ask(recording, End(4)).status is Status.ORDER


@pytest.mark.parametrize("count", [0, 2])
def test_a_chunk_has_one_descriptor(recording: Recording, tmp_path: Path, count: int) -> None:
    descriptors = [lend(tmp_path) for _ in range(count)]
    assert ask(recording, Begin(1, RECIPIENT), *descriptors).status is Status.ORDER
    assert not any(is_open(descriptor) for descriptor in descriptors)


def test_descriptors_that_nobody_asked_for_are_closed(recording: Recording, tmp_path: Path) -> None:
    chunk, stray = lend(tmp_path), lend(tmp_path)
    ask(recording, Begin(1, RECIPIENT), chunk)
    assert ask(recording, Add(2, 1, FRAME_BYTES, 0, keyframe=True), stray).status is Status.DONE
    assert not is_open(stray)
    assert is_open(chunk)
    other = lend(tmp_path)
    assert ask(recording, Begin(3, RECIPIENT), other).status is Status.ORDER, "one chunk at a time"
    assert not is_open(other)
    assert not is_open(chunk), "whoever mixes up the order loses the chunk in hand"


def test_no_recipient_no_chunk(recording: Recording, tmp_path: Path) -> None:
    descriptor = lend(tmp_path)
    assert ask(recording, Begin(1, "age1" + "q" * 58), descriptor).status is Status.RECIPIENT
    assert not is_open(descriptor)


def test_a_request_that_is_none_ends_the_child(recording: Recording) -> None:
    with pytest.raises(ValueError, match="not a request"):
        recording.answer(b"please", [])
