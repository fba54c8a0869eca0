"""What is sealed is a stock age file for one reader; this side has no way back."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import firmware.footage.seal
from firmware.footage.chunk import PlainBuffer
from firmware.footage.seal import HEADER_BYTES_AT_MOST, is_sealed, seal

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
OTHER = pyrage.x25519.Identity.generate()


def sealed(content: bytes, recipient: str = RECIPIENT) -> bytes:
    plain = PlainBuffer(len(content))
    plain.write(content)
    out = bytearray()

    def take(piece: memoryview) -> int:
        out.extend(piece)
        return len(piece)

    assert seal(plain, recipient, take) == len(out)
    return bytes(out)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200_000))
def test_only_the_recipient_reads_it(content: bytes) -> None:
    ciphertext = sealed(content)
    assert is_sealed(ciphertext[:HEADER_BYTES_AT_MOST])
    assert pyrage.decrypt(ciphertext, [IDENTITY]) == content
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(ciphertext, [OTHER])


def test_the_age_of_the_distribution_opens_it(tmp_path: Path) -> None:
    age = shutil.which("age")
    assert age is not None, "Debian's age is part of the check"
    content = os.urandom(300_000)
    (tmp_path / "key").write_text(f"{IDENTITY}\n")
    (tmp_path / "chunk.age").write_bytes(sealed(content))
    done = subprocess.run([age, "-d", "-i", tmp_path / "key", tmp_path / "chunk.age"], capture_output=True, check=True)
    assert done.stdout == content


def test_a_write_may_take_less_than_it_is_given() -> None:
    plain = PlainBuffer(100_000)
    plain.write(content := os.urandom(100_000))
    out = bytearray()

    def take_little(piece: memoryview) -> int:
        out.extend(piece[:777])
        return min(777, len(piece))

    assert seal(plain, RECIPIENT, take_little) == len(out)
    assert pyrage.decrypt(bytes(out), [IDENTITY]) == content


@pytest.mark.parametrize("size", [0, 10, 65_536, 65_537, 300_000])
def test_a_disk_that_is_full_from_any_write_on_is_told_as_such(size: int) -> None:
    plain = PlainBuffer(size)
    plain.write(bytes(size))
    for writes_that_fit in range(20):
        out: list[bytes] = []

        def take(piece: memoryview, out: list[bytes] = out, room: int = writes_that_fit) -> int:
            if len(out) == room:
                raise OSError(errno.ENOSPC, "no room")
            out.append(bytes(piece))
            return len(piece)

        try:
            seal(plain, RECIPIENT, take)
        except OSError as refused:
            assert refused.errno == errno.ENOSPC
        else:
            assert pyrage.decrypt(b"".join(out), [IDENTITY]) == bytes(size), "what was not refused is whole"
            break
    assert 1 <= writes_that_fit < 20


@pytest.mark.parametrize(
    "recipient", ["", "age1", "age1" + "q" * 58, "ssh-ed25519 AAAA", str(IDENTITY), RECIPIENT[:-1]]
)
def test_not_everything_is_a_recipient(recipient: str) -> None:
    with pytest.raises(ValueError, match="not an age X25519 recipient"):
        sealed(b"", recipient)


def test_a_second_reader_would_be_seen() -> None:
    two = pyrage.encrypt(b"x", [IDENTITY.to_public(), OTHER.to_public()])
    assert not is_sealed(two)
    one = sealed(b"x")
    assert not is_sealed(one.replace(b"-> X25519 ", b"-> scrypt ", 1))
    assert not is_sealed(pyrage.encrypt(b"x", [IDENTITY.to_public()], armored=True))


@given(st.binary(max_size=600))
def test_noise_is_not_sealed(noise: bytes) -> None:
    assert not is_sealed(noise)
    assert not is_sealed(b"\x00\x00\x00\x1cftypisom" + noise)


def test_a_header_cut_or_changed_in_its_shape_is_not_sealed() -> None:
    whole = sealed(b"content")
    header_end = whole.index(b"\n--- ") + 5 + 43 + 1
    assert is_sealed(whole[:header_end])
    assert not any(is_sealed(whole[:cut]) for cut in range(header_end))
    for place in range(header_end):
        assert not is_sealed(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])


def test_the_module_holds_no_way_to_open() -> None:
    tree = ast.parse(Path(firmware.footage.seal.__file__).read_text("utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"Identity", "decrypt", "decrypt_io", "decrypt_file"}
    assert "encrypt_io" in names, "else this test looks at the wrong thing"
