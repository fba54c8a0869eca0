"""A file is whole or it is the old one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.ground.durable import link_descriptor, write_file


def test_a_failure_half_way_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "table"
    write_file(path, b"old")

    def pieces() -> Iterator[bytes]:
        yield b"ne"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_file(path, pieces())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unnamed_file_gets_its_name(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(descriptor, b"sealed")
    os.fsync(descriptor)
    link_descriptor(descriptor, tmp_path / "chunk")
    os.close(descriptor)
    assert (tmp_path / "chunk").read_bytes() == b"sealed"


def test_a_file_is_private(tmp_path: Path) -> None:
    write_file(tmp_path / "f", [b"a", b"b"])
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600
