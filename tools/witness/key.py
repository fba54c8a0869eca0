"""The witness's own key: Ed25519, in a file of mode 0600, in the text form that Go's ``note`` package reads."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import note
from firmware.ground.durable import write_file
from firmware.ground.errors import KeystoreError

_HEAD = "PRIVATE+KEY+"


class WitnessSigner:
    """Cosigns checkpoints. Make it with :meth:`make` or :meth:`read`."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes_raw()
        self.public = WitnessKey.parse(note.verifier_text(name, note.COSIGNATURE_V1, public), where=name)

    @classmethod
    def make(cls, path: Path, name: str) -> WitnessSigner:
        """Make a key in a new file. Raises :class:`KeystoreError` where the file exists."""
        if path.exists():
            raise _refused("there is a key already", path)
        if not name or any(letter.isspace() or letter == "+" for letter in name):
            raise _refused("a name is a URL without scheme, space or plus", path)
        made = cls(name, Ed25519PrivateKey.generate())
        head = "+".join(made.public.text().split("+", 2)[:2])
        packed = bytes((note.COSIGNATURE_V1,)) + made._key.private_bytes_raw()
        write_file(path, f"{_HEAD}{head}+{base64.b64encode(packed).decode()}\n".encode())
        return made

    @classmethod
    def read(cls, path: Path) -> WitnessSigner:
        """Read a key. Raises :class:`KeystoreError`."""
        try:
            name, identifier, packed = path.read_text("ascii").strip().removeprefix(_HEAD).split("+", 2)
            raw = base64.b64decode(packed, validate=True)
            made = cls(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
        except (OSError, ValueError):
            raise _refused("cannot be read as a witness's key", path) from None
        if raw[0] != note.COSIGNATURE_V1 or made.public.text().split("+")[1] != identifier:
            raise _refused("is another kind of key", path)
        return made

    def cosign(self, signed: str, utc_seconds: int, *, where: str) -> str:
        """Return a checkpoint that was judged good with this witness's signature line under it."""
        text = note.open_text(signed, where=where)
        signature = self._key.sign(note.cosigned_message(text, utc_seconds))
        return note.add_signature(signed, self.public, note.pack_cosignature(utc_seconds, signature))


def _refused(what: str, path: Path) -> KeystoreError:
    return KeystoreError(
        "E-KEY-WITNESS",
        what,
        where=str(path),
        todo="name another file, or make a key with: python -m tools.witness keygen",
    )
