"""ONVIF's boxes stand in front, and every offset still points at its picture: judged by a parser of the test's own."""

from __future__ import annotations

import io
import json
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.package.boxes import Export, box, codec_of, export_meta, with_export
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import NS_PER_SECOND, utc_ns_of
from firmware.ground.errors import StoreError
from tests.parts.small_pole import FPS, FRAMES, film_of

BEGIN_NS = utc_ns_of("2026-11-21T13:00:00Z") + 123_456_700
EXPORT = Export("desk", "handler-01", utc_ns_of("2026-11-25T01:02:03Z"), "sp03 cam0", "cam0")


def parsed(data: bytes) -> list[tuple[str, bytes]]:
    """Kinds and contents of the boxes in ``data``; written for this test alone."""
    stream, found = io.BytesIO(data), []
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            length = struct.unpack(">Q", stream.read(8))[0] - 8
        found.append((kind.decode(), stream.read(length - 8)))
    return found


def inside(data: bytes, *path: str) -> bytes:
    for kind in path:
        data = dict(parsed(data))[kind]
    return data


@pytest.fixture
def film(tmp_path: Path) -> Path:
    making = Mp4Film(tmp_path, "sp03_cam0")
    for number in range(3):
        making.add(film_of(40 + number), BEGIN_NS + number * 10 * NS_PER_SECOND)
    return making.close()[0].path


@pytest.fixture
def exported(film: Path, tmp_path: Path) -> Path:
    path = tmp_path / "exported.mp4"
    with film.open("rb") as file:
        head, rest = with_export(file, film.stat().st_size, export_meta(EXPORT, BEGIN_NS))
        file.seek(rest)
        path.write_bytes(head + file.read())
    return path


def test_the_boxes_say_what_the_specification_asks_for(exported: Path) -> None:
    top = parsed(exported.read_bytes())
    assert [kind for kind, _ in top][:3] == ["ftyp", "meta", "moov"]
    assert [kind for kind, _ in top].count("meta") == 1
    version, meta = top[1][1][:4], dict(parsed(top[1][1][4:]))
    assert (version, list(meta)) == (bytes(4), ["hdlr", "suep", "cstb"])
    suep = meta["suep"]
    assert suep[:4] == b"\1\0\0\0"  # FullBox, version 1
    unit, url, mac, rest = suep[4:].split(b"\0", 3)
    assert (unit, url, mac) == (b"desk", b"", b"")
    made = datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC) - datetime(1904, 1, 1, tzinfo=UTC)
    assert struct.unpack(">Q", rest[:8])[0] == made.total_seconds()
    operator, rest = rest[8:].split(b"\0", 1)
    assert (operator, struct.unpack(">IH", rest[:6])) == (b"handler-01", (1, 1))
    assert rest[6:].split(b"\0") == [b"sp03 cam0", b"", b"", b"cam0", b""]
    entries, track, start = struct.unpack(">IIQ", meta["cstb"])
    assert (entries, track) == (1, 1)
    since = datetime(2026, 11, 21, 13, 0, 0, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)
    assert start == since.days * 864_000_000_000 + since.seconds * 10_000_000 + 1_234_567


def test_every_packet_is_the_same_before_and_after(film: Path, exported: Path) -> None:
    def packets(path: Path) -> list[tuple[int | None, bytes]]:
        with av.open(str(path)) as source:
            return [(packet.pts, bytes(packet)) for packet in source.demux(video=0) if packet.size]

    before = []
    for number in range(3):
        with av.open(io.BytesIO(film_of(40 + number))) as source:
            before += [bytes(packet) for packet in source.demux(video=0) if packet.size]
    assert packets(exported) == packets(film)
    assert [content for _, content in packets(exported)] == before


def test_offsets_point_at_the_pictures(film: Path, exported: Path) -> None:
    moved, data = exported.read_bytes(), film.read_bytes()
    tables = ("moov", "trak", "mdia", "minf", "stbl", "stco")
    grown = len(moved) - len(data)
    before, after = (
        struct.unpack(f">{len(t) // 4 - 2}I", t[8:]) for t in (inside(data, *tables), inside(moved, *tables))
    )
    assert [offset - grown for offset in after] == list(before)
    assert moved[after[0] : after[0] + 64] == data[before[0] : before[0] + 64]


def test_no_edit_list_and_no_fragment(exported: Path) -> None:
    assert "edts" not in dict(parsed(inside(exported.read_bytes(), "moov", "trak")))
    assert b"moof" not in exported.read_bytes()


def test_ffprobe_reads_it(exported: Path) -> None:
    words = [
        "ffprobe",
        "-v",
        "warning",
        "-of",
        "json",
        "-count_packets",
        "-show_streams",
        "-show_format",
        str(exported),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (stream,) = json.loads(done.stdout)["streams"]
    assert (stream["codec_name"], stream["nb_read_packets"]) == ("h264", str(3 * FRAMES))
    assert (float(stream["start_time"]), float(stream["duration"])) == (0.0, 3 * FRAMES / FPS)
    assert codec_of(exported.read_bytes()) == "avc1.42c00a"


def synthetic(offsets: list[int], *, wide: bool, long_header: bool) -> bytes:
    """A film without pictures whose tables hold ``offsets``."""
    packed = struct.pack(f">II{len(offsets)}{'Q' if wide else 'I'}", 0, len(offsets), *offsets)
    table = box(b"stbl", box(b"stsd", b"x"), box(b"co64" if wide else b"stco", packed))
    inner = box(b"mvhd", b"y") + box(b"trak", box(b"mdia", box(b"minf", table)))
    moov = struct.pack(">I4sQ", 1, b"moov", 16 + len(inner)) + inner if long_header else box(b"moov", inner)
    return box(b"ftyp", b"isom") + moov + box(b"mdat", b"pictures")


@given(
    st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=20),
    st.booleans(),
    st.booleans(),
    st.binary(max_size=50),
)
def test_whatever_the_offsets_they_move_with_their_pictures(
    offsets: list[int], wide: bool, long_header: bool, content: bytes
) -> None:
    before = synthetic(offsets, wide=wide, long_header=long_header)
    head, rest = with_export(io.BytesIO(before), len(before), box(b"meta", content))
    after = head + before[rest:]
    table = dict(parsed(inside(after, "moov", "trak", "mdia", "minf", "stbl")))
    width, packed = ("Q", table["co64"]) if "co64" in table else ("I", table["stco"])
    found = struct.unpack(f">{len(offsets)}{width}", packed[8:])
    moved = after.index(b"mdatpictures") - before.index(b"mdatpictures")
    assert [offset - moved for offset in found] == offsets
    assert after.endswith(box(b"mdat", b"pictures"))
    assert inside(after, "meta") == content


@pytest.mark.parametrize("damage", [b"", b"abc", box(b"ftyp", b"isom"), box(b"ftyp") + box(b"mdat"), b"\0\0\0\3ftyp"])
def test_what_is_no_such_film_is_refused(damage: bytes) -> None:
    with pytest.raises(StoreError, match="E-STORE-FILM"):
        with_export(io.BytesIO(damage), len(damage), b"")


def test_tables_cut_short_are_refused() -> None:
    whole = synthetic([1, 2], wide=False, long_header=False)
    broken = whole.replace(struct.pack(">II", 0, 2), struct.pack(">II", 0, 3))
    with pytest.raises(StoreError, match="cut short"):
        with_export(io.BytesIO(broken), len(broken), b"")
