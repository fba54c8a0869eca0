"""Pictures become packets one for one; packets become a film that plays by itself."""

from __future__ import annotations

import io

import av
import numpy as np
import numpy.typing as npt
import pytest

from firmware.drivers.encoder import EncoderRefused, H264Settings, Mp4Muxer, X264Encoder
from firmware.footage.chunk import ChunkRefused, NalType, PlainBuffer, nal_types, starts_alone

SMALL = H264Settings(width=160, height=96, fps=15, bitrate_kbps=300)
STEP = 6000


def picture(place: int, settings: H264Settings = SMALL) -> npt.NDArray[np.uint8]:
    whole = np.full((settings.height * 3 // 2, settings.width), 128, dtype=np.uint8)
    whole[: settings.height] = 40
    whole[20:60, place % (settings.width - 30) : place % (settings.width - 30) + 30] = 250
    return whole


def encode(count: int, *, start_at: int = 0) -> list[bytes]:
    encoder = X264Encoder(SMALL)
    packets = [encoder.encode(picture(i * 3), i * STEP, start=i == start_at) for i in range(count)]
    encoder.close()
    return packets


def film(packets: list[bytes], times: list[int]) -> bytes:
    plain = PlainBuffer(1_000_000)
    muxer = Mp4Muxer(plain, width=SMALL.width, height=SMALL.height, fps=SMALL.fps)
    for packet, pts_90k in zip(packets, times, strict=True):
        muxer.add(packet, pts_90k, keyframe=starts_alone(packet))
    muxer.close()
    return plain.read_at(0, plain.used)


def decode(content: bytes) -> tuple[list[av.VideoFrame], av.VideoStream]:
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        return list(container.decode(video=0)), stream


def test_every_picture_gives_its_packet_at_once() -> None:
    packets = encode(40)
    assert all(packets)
    alone = [place for place, packet in enumerate(packets) if starts_alone(packet)]
    assert alone == [0, 30], "the first, and one every two seconds"
    for packet in packets:
        kinds = nal_types(packet)
        assert {NalType.SLICE, NalType.IDR} & set(kinds)
        assert (NalType.IDR in kinds) == starts_alone(packet), "parameter sets stand before every IDR"


def test_a_picture_starts_alone_where_asked() -> None:
    packets = encode(12, start_at=7)
    assert starts_alone(packets[7])
    frames, _ = decode(film(packets[7:], [i * STEP for i in range(5)]))
    assert len(frames) == 5


def test_a_chunk_plays_by_itself_with_its_times_and_colours() -> None:
    times = [0, STEP, 2 * STEP, 5 * STEP, 6 * STEP + 1]  # two frames were dropped, the last one is late
    frames, stream = decode(film(encode(5), times))
    assert [frame.pts for frame in frames] == times
    assert str(stream.time_base) == "1/90000"
    assert (stream.width, stream.height) == (SMALL.width, SMALL.height)
    assert frames[0].color_range == 2, "full range"
    assert frames[0].colorspace == 6, "BT.601"
    luma = frames[0].to_ndarray(format="yuvj420p")[: SMALL.height]
    assert abs(int(np.median(luma)) - 40) <= 3, "levels are neither stretched nor squeezed"
    assert int(luma[40, 10]) >= 240


def test_the_container_is_fragmented_and_needs_no_end() -> None:
    content = film(encode(35), [i * STEP for i in range(35)])
    assert content[4:8] == b"ftyp"
    assert content.count(b"moof") == 2, "a fragment a group of pictures"
    frames, _ = decode(content[: content.rindex(b"moof") - 4])
    assert len(frames) == 30, "cut in the middle, the fragments before still play"


def test_a_board_encoders_packets_become_the_same_film() -> None:
    packets = encode(20)
    assert film(packets, [i * STEP for i in range(20)]) == film(packets, [i * STEP for i in range(20)])


def test_sizes_stay_within_the_bit_rate() -> None:
    noise = np.random.default_rng(7)
    encoder = X264Encoder(SMALL)
    total = sum(
        len(encoder.encode(noise.integers(0, 255, (144, 160), dtype=np.uint8), i * STEP, start=i == 0))
        for i in range(150)
    )
    encoder.close()
    assert total <= SMALL.bitrate_kbps * 125 * 11, "ten seconds of noise, one second of buffer"


def test_what_ffmpeg_refuses_is_said_as_ours() -> None:
    with pytest.raises(EncoderRefused):
        X264Encoder(H264Settings(width=161, height=97, fps=15, bitrate_kbps=300))


def test_a_film_that_does_not_fit_is_refused_by_its_buffer() -> None:
    muxer = Mp4Muxer(PlainBuffer(1_000), width=160, height=96, fps=15)
    with pytest.raises(ChunkRefused, match="SIZE"):
        for place, packet in enumerate(encode(40)):
            muxer.add(packet, place * STEP, keyframe=starts_alone(packet))


def test_the_profile_is_one_that_every_player_plays() -> None:
    """Main (77), by the profile_idc of the sequence parameter set (ITU-T H.264, 7.3.2.1.1)."""
    packet = encode(1)[0]
    parameters = packet[packet.index(b"\x00\x00\x01\x67") + 4 :]
    assert parameters[0] == 77
