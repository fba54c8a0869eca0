"""The canary scan finds a mark in every form a picture takes, and only that mark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.canary import literal, make_mark, scan_bytes, scan_files, scan_process

HOLDER = """
import sys
kept = bytearray(sys.stdin.buffer.read(int(sys.argv[1])))
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.buffer.read()
"""


def form(name: str) -> bytes:
    mark = make_mark(7)
    grey = mark.grey(60, 400)
    pooled = grey.reshape(30, 2, 200, 2).mean(axis=(1, 3)).astype(np.uint8)
    input_like = np.stack([pooled, np.full_like(pooled, 128), np.full_like(pooled, 127)], axis=2)
    forms: dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int8]] = {
        "planar": mark.i420(60, 400),
        "rgb": mark.rgb(60, 400),
        "grey crop": grey[7:9, 33:180],
        "pooled": pooled,
        "odd resize": grey[:, np.arange(140) * 400 // 140],
        "model input": input_like,
        "model input int8": (input_like.astype(np.int16) - 128).astype(np.int8),
        "rgba": np.dstack([mark.rgb(60, 400), np.full((60, 400), 255, dtype=np.uint8)]),
        "noisy": (grey + np.random.default_rng(1).integers(-3, 4, grey.shape)).astype(np.uint8),
    }
    return forms[name].tobytes()


FORMS = ("planar", "rgb", "grey crop", "pooled", "odd resize", "model input", "model input int8", "rgba", "noisy")


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_marked_picture_is_found(name: str) -> None:
    assert scan_bytes(form(name), make_mark(7).patterns())
    assert not scan_bytes(form(name), make_mark(8).patterns())


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(3, 17))
@settings(max_examples=60, deadline=None)
def test_marks_do_not_match_each_other(one: int, other: int, bar_pixels: int) -> None:
    first, second = make_mark(one), make_mark(other)
    picture = first.i420(4, 240, bar_pixels=bar_pixels).tobytes()
    assert scan_bytes(picture, first.patterns())
    if any(abs(a - b) > 7 for a, b in zip(first.levels, second.levels, strict=True)):
        assert not scan_bytes(picture, second.patterns())


def test_noise_and_flat_memory_are_not_hits() -> None:
    assert not scan_bytes(os.urandom(1 << 20), make_mark(7).patterns())
    assert not scan_bytes(bytes(1 << 20), make_mark(7).patterns())


def test_a_mark_held_by_a_process_is_found_in_it_and_no_other_is() -> None:
    content = form("model input int8")
    command = [sys.executable, "-c", HOLDER, str(len(content))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(content)
        child.stdin.flush()
        assert child.stdout.readline() == b"held\n"
        held = scan_process(child.pid, make_mark(7).patterns())
        other = scan_process(child.pid, make_mark(8).patterns())
    assert held.names == {"mark-7-full-int8-3"}
    assert other.hits == []
    assert other.bytes_read > 1 << 20


def test_own_memory_can_be_searched_without_finding_the_search(tmp_path: Path) -> None:
    (tmp_path / "mark").write_bytes(form("rgb"))
    found = scan_files(tmp_path, make_mark(7).patterns())  # passes the mark through the search's buffer
    assert found.hits
    own = scan_process(os.getpid(), [literal("absent", os.urandom(24).hex().encode())])
    assert any("own buffer" in line for line in own.unread)


def test_files_are_all_searched_and_what_is_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".hidden").write_bytes(b"\0" * (5 << 20) + form("planar"))
    (tmp_path / "plain").write_bytes(b"key=0123456789abcdef")
    (tmp_path / "link").symlink_to("plain")
    scan = scan_files(tmp_path, (*make_mark(7).patterns(), literal("key", b"0123456789abcdef")))
    assert {(hit.where, hit.pattern) for hit in scan.hits} >= {
        ("deep/.hidden", "mark-7-full-uint8-1"),
        ("plain", "key"),
    }
    assert any("link" in line for line in scan.unread)
    assert scan.bytes_read == (5 << 20) + len(form("planar")) + 20
