"""The recorder: the footage processing system, a jailed child. Pixels or packets in, ciphertext out.

Knows:  one chunk at a time: its encoder, its container in memory, its lent file, its recipient.
Never:  opens, connects, forks; sees a small frame or a key that opens; writes a byte that is not ciphertext.
Leaves: age files in the descriptors lent to it, and one small reply a request.
Clauses: 7.1(1) (pixels in, ciphertext out), 2, 5.1 (nothing in common with people flow but the jail's walls).

Started by ``firmware.drivers.recorder_process``. Modes: ``frames`` encodes I420 pictures; ``packets`` takes what the
board's encoder made and only puts it into a container.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from firmware.camera.memory import map_readable
from firmware.drivers.encoder import EncoderRefused, H264Settings, Mp4Muxer, X264Encoder
from firmware.drivers.jail_door import Door
from firmware.footage.chunk import ChunkRefused, PlainBuffer, Refusal, Timeline, starts_alone
from firmware.footage.recorder_wire import (
    Add,
    Begin,
    End,
    Reply,
    Request,
    Status,
    decode_request,
    encode_reply,
)
from firmware.footage.seal import is_recipient, seal

SYSTEM_CALLS: Final = ("write",)
"""Beyond the common list: ciphertext into the lent file. x264, FFmpeg and age need nothing else once rehearsed."""


_REHEARSAL_RECIPIENT: Final = "age1nstzg3wsns342jl94saa5vngndvx5q9t5mkvz85y6twe9q6jedtqqf6ft7"
"""Of nobody: its private half was never kept. What is sealed to it is thrown away at once."""


class _Refused(Exception):  # noqa: N818 - a verdict, told in the reply
    """A request that cannot be served; the chunk in hand is given up."""

    def __init__(self, status: Status, system_error: int = 0) -> None:
        super().__init__(status.name)
        self.status = status
        self.system_error = system_error


@dataclass(slots=True)
class _Chunk:
    """The chunk in hand."""

    descriptor: int
    recipient: str
    timeline: Timeline
    muxer: Mp4Muxer
    encoder: X264Encoder | None
    plain: PlainBuffer

    def release(self) -> None:
        """Let go of file, encoder and container, in this order; then overwrite the plaintext (7.1(1))."""
        os.close(self.descriptor)
        if self.encoder is not None:
            self.encoder.close()
        with contextlib.suppress(EncoderRefused, ChunkRefused):  # its last fragment may not fit any more
            self.muxer.close()
        self.plain.wipe()


class Recording:
    """Serves requests one after the other; holds at most one chunk."""

    def __init__(self, argument: dict[str, Any], slots: mmap.mmap) -> None:
        self._mode: Literal["frames", "packets"] = argument["mode"]
        self._settings = H264Settings(**argument["h264"])
        self._chunk_seconds: int = argument["chunk_seconds"]
        self._slot_bytes: int = argument["slot_bytes"]
        self._memory = np.frombuffer(slots, dtype=np.uint8)
        self._bytes_at_most: int = argument["chunk_bytes_at_most"]
        self._chunk: _Chunk | None = None

    def rehearse(self) -> None:
        """Encode, pack and seal one blank picture into nothing, so that libraries load all they ever will."""
        settings = self._settings
        encoder = X264Encoder(settings)
        blank = np.zeros((settings.height * 3 // 2, settings.width), dtype=np.uint8)
        packet = encoder.encode(blank, 0, start=True)
        encoder.close()
        plain = PlainBuffer(self._bytes_at_most)
        muxer = Mp4Muxer(plain, width=settings.width, height=settings.height, fps=settings.fps)
        muxer.add(packet, 0, keyframe=starts_alone(packet))
        muxer.close()
        seal(plain, _REHEARSAL_RECIPIENT, len)

    def answer(self, message: bytes, descriptors: list[int]) -> bytes:
        """Serve one request; return its reply. A descriptor that no chunk took is closed."""
        request = decode_request(message)
        try:
            reply = self._serve(request, descriptors)
        except _Refused as refusal:
            self._give_up()
            reply = Reply(refusal.status, request.sequence, refusal.system_error)
        except ChunkRefused as refusal:
            self._give_up()
            reply = Reply(Status(refusal.reason), request.sequence)
        except EncoderRefused:
            self._give_up()
            reply = Reply(Status.ENCODER, request.sequence)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return encode_reply(reply)

    def _serve(self, request: Request, descriptors: list[int]) -> Reply:
        match request:
            case Begin():
                if self._chunk is not None or len(descriptors) != 1:
                    raise _Refused(Status.ORDER)
                if not is_recipient(request.recipient):
                    raise _Refused(Status.RECIPIENT)
                self._chunk = self._begin(descriptors[0], request.recipient)
                descriptors.clear()
            case Add():
                self._add(self._in_hand(), request)
            case End():
                return self._end(self._in_hand(), request.sequence)
        return Reply(Status.DONE, request.sequence)

    def _begin(self, descriptor: int, recipient: str) -> _Chunk:
        settings, plain = self._settings, PlainBuffer(self._bytes_at_most)
        return _Chunk(
            descriptor,
            recipient,
            Timeline(self._chunk_seconds),
            Mp4Muxer(plain, width=settings.width, height=settings.height, fps=settings.fps),
            X264Encoder(settings) if self._mode == "frames" else None,
            plain,
        )

    def _add(self, chunk: _Chunk, request: Add) -> None:
        packet_pts_90k = chunk.timeline.take(request.pts_90k)
        first = chunk.timeline.frames == 1
        offset = request.slot * self._slot_bytes
        if not 0 < request.length <= self._slot_bytes or offset + self._slot_bytes > len(self._memory):
            raise _Refused(Status.SLOT)
        lent = self._memory[offset : offset + request.length]
        if chunk.encoder is None:
            packet, keyframe = lent.tobytes(), request.keyframe
        else:
            height, width = self._settings.height * 3 // 2, self._settings.width
            if len(lent) != height * width:
                raise _Refused(Status.SLOT)
            packet = chunk.encoder.encode(lent.reshape(height, width), packet_pts_90k, start=first)
            keyframe = starts_alone(packet)
        if first and not starts_alone(packet):
            raise ChunkRefused(Refusal.NOT_ALONE)
        chunk.muxer.add(packet, packet_pts_90k, keyframe=keyframe)

    def _end(self, chunk: _Chunk, sequence: int) -> Reply:
        timeline = chunk.timeline
        if not timeline.frames:
            raise ChunkRefused(Refusal.EMPTY)
        if chunk.encoder is not None:
            chunk.encoder.close()
        chunk.muxer.close()
        try:
            written = seal(chunk.plain, chunk.recipient, lambda piece: os.write(chunk.descriptor, piece))
        except OSError as error:
            raise _Refused(Status.WRITE, error.errno or 0) from None
        self._give_up()
        return Reply(
            Status.DONE,
            sequence,
            frames=timeline.frames,
            first_pts_90k=timeline.first_pts_90k,
            last_pts_90k=timeline.last_pts_90k,
            ciphertext_bytes=written,
        )

    def _in_hand(self) -> _Chunk:
        if self._chunk is None:
            raise _Refused(Status.ORDER)
        return self._chunk

    def _give_up(self) -> None:
        """Let go of the chunk in hand, if there is one."""
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            chunk.release()


def main() -> None:
    """Run as a jailed child until the parent closes its end."""
    door = Door.from_argv()
    argument = door.argument
    slots = map_readable(door.descriptor("main"), argument["slot_bytes"] * argument["slots"])
    recording = Recording(argument, slots)
    recording.rehearse()
    door.shut(SYSTEM_CALLS)
    for message, descriptors in door.requests():
        door.answer(recording.answer(message, descriptors))
    os._exit(0)


if __name__ == "__main__":
    main()
