"""The film shows exactly the frames of its chunks, at their times."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import StoreError

BEGIN_NS = 1_763_888_400 * NS_PER_SECOND
FPS = 10


def chunk(frames: int, shade: int, *, width: int = 160, height: int = 96) -> bytes:
    """A self-contained fragmented MP4 of flat pictures of brightness ``shade``, ``shade + 1``, ..."""
    out = io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(out, "w", format="mp4", options=options) as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency", "qp": "1"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = np.full((height * 3 // 2, width), 128, np.uint8)
            picture[:height] = shade + number
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return out.getvalue()


def shown(path: Path) -> list[tuple[float, int]]:
    """Seconds and brightness of each frame, as any player sees them."""
    with av.open(str(path)) as source:
        frames = list(source.decode(video=0))
    return [(float(frame.time or 0), round(float(frame.to_ndarray()[: frame.height].mean()))) for frame in frames]


def at(seconds: float) -> int:
    return BEGIN_NS + round(seconds * NS_PER_SECOND)


def test_frames_and_times_are_kept_across_chunks_and_gaps(tmp_path: Path) -> None:
    film = Mp4Film(tmp_path, "sp03_cam0")
    assert film.add(chunk(20, 40), at(0)).frames == 20
    assert film.add(chunk(20, 60), at(2)).moved_90k == 0
    film.add(chunk(10, 80), at(9.5))  # chunks between 4 s and 9.5 s are missing
    (part,) = film.close()
    assert part.path.name == "sp03_cam0_20251123T090000Z.mp4"
    assert (part.frames, part.duration_90k, part.begin_utc_ns) == (50, round(10.5 * 90_000), BEGIN_NS)
    frames = shown(part.path)
    assert [level for _, level in frames] == [*range(40, 60), *range(60, 80), *range(80, 90)]
    expected = [number / FPS for number in range(40)] + [9.5 + number / FPS for number in range(10)]
    assert [seconds for seconds, _ in frames] == pytest.approx(expected, abs=1e-4)


def test_nothing_is_encoded_again(tmp_path: Path) -> None:
    film, source = Mp4Film(tmp_path, "sp03_cam0"), chunk(12, 50)
    film.add(source, at(0))
    (part,) = film.close()
    with av.open(io.BytesIO(source), "r") as before, av.open(str(part.path), "r") as after:
        kept = [bytes(packet) for packet in after.demux(video=0) if packet.size]
        assert kept == [bytes(packet) for packet in before.demux(video=0) if packet.size]
        assert after.streams.video[0].time_base == Fraction(1, 90_000)


def test_the_index_stands_in_front_and_the_bytes_are_the_same_twice(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        film = Mp4Film(tmp_path / name, "sp03_cam0")
        film.add(chunk(5, 50), at(0))
        written.append(film.close()[0].path.read_bytes())
    assert written[0].index(b"moov") < written[0].index(b"mdat")
    assert b"moof" not in written[0]  # one index for the whole film: players jump in it without reading it through
    assert written[0] == written[1]


def test_a_clock_set_back_never_makes_time_run_backwards(tmp_path: Path) -> None:
    film = Mp4Film(tmp_path, "sp03_cam0")
    film.add(chunk(20, 40), at(10))
    moved = film.add(chunk(20, 60), at(9)).moved_90k
    assert moved == 3 * 90_000  # it begins where the chunk before it ends, at 12 s
    (part,) = film.close()
    times = [seconds for seconds, _ in shown(part.path)]
    assert times == pytest.approx([number / FPS for number in range(40)], abs=1e-4)


def test_another_picture_format_or_an_hour_s_gap_begins_a_new_part(tmp_path: Path) -> None:
    film = Mp4Film(tmp_path, "sp03_cam0")
    film.add(chunk(5, 40), at(0))
    film.add(chunk(5, 50, width=192, height=112), at(10))
    film.add(chunk(5, 60, width=192, height=112), at(4000))
    parts = film.close()
    assert [part.frames for part in parts] == [5, 5, 5]
    assert [part.begin_utc_ns for part in parts] == [at(0), at(10), at(4000)]
    assert [len(shown(part.path)) for part in parts] == [5, 5, 5]


@pytest.mark.parametrize("damage", [b"", b"not a film at all", None, 0, 1])
def test_what_is_no_chunk_is_refused_and_the_film_goes_on(tmp_path: Path, damage: bytes | int | None) -> None:
    film, good = Mp4Film(tmp_path, "sp03_cam0"), chunk(10, 40)
    film.add(good, at(0))
    if damage is None:
        damage = good[: good.index(b"moof")]  # a head without a picture
    elif damage == 0:
        damage = good.replace(b"avc1", b"hvc1")
    elif damage == 1:
        damage = good[4:]
    with pytest.raises(StoreError) as caught:
        film.add(bytes(damage), at(1))
    assert caught.value.code == "E-STORE-CHUNK"
    film.add(good, at(1))
    assert film.close()[0].frames == 20


def test_an_abandoned_film_closes_its_file(tmp_path: Path) -> None:
    film = Mp4Film(tmp_path, "sp03_cam0")
    film.add(chunk(5, 40), at(0))
    film.abandon()
    film.abandon()
    assert not film.close()
