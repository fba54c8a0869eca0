"""Officers' keys: nine words, a stock age file, never overwritten."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.keys import keyfile as officers
from firmware.custody.keys import words
from firmware.ground.errors import KeystoreError

NOW_NS = 1_763_888_400 * 10**9


@pytest.fixture(scope="module")
def key() -> officers.NewKey:
    return officers.new_key("footage-a1", NOW_NS)


@pytest.fixture
def key_file(tmp_path: Path, key: officers.NewKey) -> Path:
    path = tmp_path / "a1.age"
    officers.write_key(path, key)
    return path


def code_of(path: Path, passphrase: str) -> str:
    with pytest.raises(KeystoreError) as caught:
        officers.unlock(path, lambda: passphrase)
    return caught.value.code


def test_a_passphrase_is_nine_words_of_135_bits() -> None:
    assert len(set(words.SYLLABLES)) == 32
    assert words.BITS == 135
    drawn = [words.new_passphrase() for _ in range(400)]
    assert len(set(drawn)) == 400
    assert all(words.tidy(passphrase) == passphrase for passphrase in drawn)
    counts = Counter(passphrase.replace("-", "")[at : at + 2] for passphrase in drawn for at in range(0, 54, 2))
    assert set(counts) == set(words.SYLLABLES)
    assert max(counts.values()) < 2 * min(counts.values())


@given(st.data())
def test_typing_is_forgiven_its_spaces_and_capitals(data: st.DataObject) -> None:
    passphrase = words.new_passphrase()
    typed = "".join(data.draw(st.sampled_from((" ", "  ", "\u3000", "-"))) if c == "-" else c for c in passphrase)
    assert words.tidy(f" {typed.upper()}\n") == passphrase


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "0 words, 9 expected"),
        ("kasane", "1 words, 9 expected"),
        ("-".join(["kasane"] * 8 + ["kasanx"]), "word 9 cannot be right"),
        ("-".join(["kasa"] + ["kasane"] * 8), "word 1 cannot be right"),
        ("-".join(["kasane"] * 3 + ["kashi"] + ["kasane"] * 5), "word 4 cannot be right"),
    ],
)
def test_a_slip_is_named_without_repeating_the_word(typed: str, said: str) -> None:
    with pytest.raises(KeystoreError, match=said) as caught:
        words.tidy(typed)
    assert not any(word in str(caught.value) for word in typed.split("-") if word)


def test_a_key_file_is_private_and_opens_with_its_words(key: officers.NewKey, key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert list(key_file.parent.iterdir()) == [key_file]
    (identity,) = officers.unlock(key_file, lambda: key.passphrase.upper().replace("-", " "))
    assert str(identity.to_public()) == key.recipient
    assert b"AGE-SECRET-KEY" not in key.sealed
    assert key.passphrase.encode() not in key.sealed


def test_stock_age_opens_the_key_file_and_what_was_sealed_to_it(key: officers.NewKey, key_file: Path) -> None:
    sealed = key_file.with_name("message.age")
    sealed.write_bytes(pyrage.encrypt(b"the minute's identity", [pyrage.x25519.Recipient.from_str(key.recipient)]))
    arguments = ["age", "--decrypt", "--identity", str(key_file), str(sealed)]
    assert typed_into(arguments, key.passphrase).endswith("the minute's identity")
    assert f"# public key: {key.recipient}" in typed_into(["age", "--decrypt", str(key_file)], key.passphrase)


def typed_into(arguments: list[str], passphrase: str) -> str:
    """Run a program that asks for a passphrase on its terminal, and return what it prints."""
    terminal, childs = pty.openpty()
    child = subprocess.Popen(["setsid", "--ctty", "--wait", *arguments], stdin=childs, stdout=childs, stderr=childs)
    os.close(childs)
    printed, asked = b"", False
    try:
        while piece := os.read(terminal, 4096):
            printed += piece
            if not asked and b"passphrase" in printed.lower():
                asked = True
                os.write(terminal, passphrase.encode() + b"\n")
    except OSError:  # Linux says EIO once the child has closed its end
        pass
    finally:
        os.close(terminal)
    assert child.wait() == 0, printed
    return printed.decode().replace("\r\n", "\n").rstrip("\n")


def test_a_key_is_never_overwritten(key: officers.NewKey, key_file: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(KeystoreError) as caught:
        officers.write_key(key_file, officers.NewKey(key.recipient, "", b"another"))
    assert caught.value.code == "E-KEY-EXISTS"
    assert key_file.read_bytes() == before
    assert list(key_file.parent.iterdir()) == [key_file]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, key: officers.NewKey) -> None:
    with pytest.raises(KeystoreError) as caught:
        officers.write_key(tmp_path / "missing" / "a1.age", key)
    assert caught.value.code == "E-KEY-WRITE"


def test_wrong_words_damage_and_unprotected_keys_are_told_apart(
    tmp_path: Path, key: officers.NewKey, key_file: Path
) -> None:
    assert code_of(key_file, "-".join(["kasane"] * 9)) == "E-KEY-PASSPHRASE"
    assert code_of(key_file, "kasane") == "E-KEY-WORDS"
    bare = tmp_path / "bare.txt"
    bare.write_text(f"# public key\n{pyrage.x25519.Identity.generate()}\n")
    assert code_of(bare, key.passphrase) == "E-KEY-BARE"
    other = tmp_path / "other.age"
    other.write_bytes(pyrage.encrypt(b"x", [pyrage.x25519.Recipient.from_str(key.recipient)]))
    assert code_of(other, key.passphrase) == "E-KEY-FILE"
    assert code_of(tmp_path / "missing.age", key.passphrase) == "E-KEY-FILE"
    noise = tmp_path / "noise.age"
    noise.write_bytes(pyrage.passphrase.encrypt(b"no identity in here", key.passphrase))
    assert code_of(noise, key.passphrase) == "E-KEY-FILE"


@pytest.mark.parametrize("name", ["", "Taro Odawara", "a" * 33, "a\n", "-a", "\u592a\u90ce"])
def test_a_name_is_a_code(name: str) -> None:
    with pytest.raises(KeystoreError, match="code, not a person"):
        officers.new_key(name, NOW_NS)


def test_a_busy_machine_is_no_wrong_passphrase(key_file: Path, key: officers.NewKey) -> None:
    """The file's own work factor is made one that no machine would take on; age says so before it tries."""
    lines = key_file.read_bytes().split(b"\n")
    stanza = lines[1].rsplit(b" ", 1)[0] + b" 40"
    key_file.write_bytes(b"\n".join([lines[0], stanza, *lines[2:]]))
    assert code_of(key_file, key.passphrase) == "E-KEY-BUSY"
