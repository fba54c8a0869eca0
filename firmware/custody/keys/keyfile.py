"""An officer's key: an age identity in an age file, opened by nine words.

Knows:  one private half, for as long as a key is made or used; never on a pole.
Never:  a private half on a disk in clear, a passphrase anywhere but on the screen, an older key overwritten.
Leaves: a key file that stock ``age`` reads, its public half.
Clauses: 7.3(1)1 (strong passphrase, and away from the pole).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyrage
from pyrage import x25519

from firmware.custody.keys import words
from firmware.ground.clock import iso_utc
from firmware.ground.durable import sync_folder
from firmware.ground.errors import KeystoreError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PROTECTED: Final = b"age-encryption.org/v1\n-> scrypt "
_MOST_KEY_BYTES: Final = 64 * 1024
_TRIES: Final = 5
_TOO_DEAR: Final = "Excessive work"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it was just made: ``sealed`` is the file, ``passphrase`` opens it and is shown once."""

    recipient: str
    passphrase: str
    sealed: bytes


def new_key(name: str, utc_ns: int) -> NewKey:
    """Make an X25519 identity and seal it under a fresh passphrase. ``name`` is a code such as ``footage-a1``.

    Sealing takes seconds and hundreds of MiB on purpose (scrypt). Raises :class:`KeystoreError` for a free-text name.
    """
    if not _NAME.fullmatch(name):
        raise KeystoreError(
            "E-KEY-NAME", "a key's name is a code, not a person", where="--name",
            todo="use small letters, digits and hyphens, for instance footage-a1", clause="4.1",
        )  # fmt: skip
    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    text = f"# name: {name}\n# created: {iso_utc(utc_ns)}\n# public key: {recipient}\n{identity}\n"
    passphrase = words.new_passphrase()
    return NewKey(recipient, passphrase, pyrage.passphrase.encrypt(text.encode(), passphrase))


def write_key(path: Path, key: NewKey) -> None:
    """Put the sealed key at ``path``, durably, mode 0600. Raises :class:`KeystoreError` if a file is there."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(key.sealed)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a rename, this never replaces what stands there
        sync_folder(path.parent)
    except FileExistsError:
        raise KeystoreError(
            "E-KEY-EXISTS", "a file of this name is there; a key is never overwritten", where=str(path),
            todo="choose another name; footage sealed to a lost key stays unreadable", clause="7.3(1)1",
        ) from None  # fmt: skip
    except OSError as error:
        raise KeystoreError(
            "E-KEY-WRITE", f"cannot write: {error.strerror}", where=str(path), todo="choose a writable place"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def unlock(path: Path, ask: Callable[[], str]) -> list[x25519.Identity]:
    """Return the identities in the key file ``path``; ``ask`` gives the passphrase (not called for a bad file).

    Raises :class:`KeystoreError`: ``E-KEY-FILE``, ``E-KEY-BARE`` (unprotected), ``E-KEY-WORDS``,
    ``E-KEY-PASSPHRASE``, ``E-KEY-BUSY``.
    """
    sealed = _read(path)
    try:
        text = _opened(sealed, words.tidy(ask()), path).decode()
        found = [x25519.Identity.from_str(line) for line in text.splitlines() if line and not line.startswith("#")]
    except pyrage.DecryptError:
        raise KeystoreError(
            "E-KEY-PASSPHRASE", "the passphrase does not open this key, or the file is damaged", where=str(path),
            todo="type the nine words again; try the second copy of the file", clause="7.3(1)1",
        ) from None  # fmt: skip
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise _not_a_key(path, "there is no age identity in it")
    return found


def _opened(sealed: bytes, passphrase: str, path: Path) -> bytes:
    """Open an age file by its passphrase. Raises pyrage.DecryptError; KeystoreError E-KEY-BUSY.

    age refuses a file that would take much longer than this machine seems to need for one of its own; it measures that
    anew each time, and a machine busy with something else seems slow.
    """
    for _ in range(_TRIES):
        try:
            opened: bytes = pyrage.passphrase.decrypt(sealed, passphrase)
        except pyrage.DecryptError as error:
            if not str(error).startswith(_TOO_DEAR):
                raise
        else:
            return opened
    raise KeystoreError(
        "E-KEY-BUSY", "this machine is too busy or too slow to open the key", where=str(path),
        todo="end what keeps it busy and try again; the passphrase was not judged", clause="7.3(1)1",
    )  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            sealed = file.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise _not_a_key(path, f"cannot read: {error.strerror}") from None
    if b"AGE-SECRET-KEY-" in sealed:
        raise KeystoreError(
            "E-KEY-BARE", "this key is not protected by a passphrase", where=str(path),
            todo="treat it as lost: make a new one with pole-custodian keygen and replace it on the poles",
            clause="7.3(1)1",
        )  # fmt: skip
    if not sealed.startswith(_PROTECTED):
        raise _not_a_key(path, "this is no passphrase-protected age file")
    return sealed


def _not_a_key(path: Path, what: str) -> KeystoreError:
    return KeystoreError("E-KEY-FILE", what, where=str(path), todo="give the file that pole-custodian keygen wrote")
