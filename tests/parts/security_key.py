"""A FIDO2 security key in software: signatures as OpenSSH's sk- keys make them (PROTOCOL.u2f, PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

APPLICATION = b"ssh:"
TOUCHED, VERIFIED = 0x01, 0x04


def string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


class SecurityKey:
    """One token. ``public`` is the line that stands in an officer's .pub file."""

    kind = b"sk-ssh-ed25519@openssh.com"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.count = 0

    @property
    def blob(self) -> bytes:
        return string(self.kind) + string(self._key.public_key().public_bytes_raw()) + string(APPLICATION)

    @property
    def public(self) -> str:
        return f"{self.kind.decode()} {base64.b64encode(self.blob).decode()}"

    def sign(self, message: bytes, namespace: str = "act.smartpole", *, flags: int = TOUCHED) -> bytes:
        """What ``ssh-keygen -Y sign`` writes when the token is touched."""
        digest = hashlib.sha512(message).digest()
        preamble = string(namespace.encode()) + string(b"") + string(b"sha512")
        signed = b"SSHSIG" + preamble + string(digest)
        self.count += 1
        state = struct.pack(">BI", flags, self.count)
        asserted = hashlib.sha256(APPLICATION).digest() + state + hashlib.sha256(signed).digest()
        signature = string(self.kind) + string(self.raw(asserted)) + state
        whole = b"SSHSIG" + struct.pack(">I", 1) + string(self.blob) + preamble + string(signature)
        armour = base64.encodebytes(whole).decode()
        return f"-----BEGIN SSH SIGNATURE-----\n{armour}-----END SSH SIGNATURE-----\n".encode()

    def raw(self, asserted: bytes) -> bytes:
        return self._key.sign(asserted)


class EcdsaSecurityKey(SecurityKey):
    """An older token, with NIST's curve P-256."""

    kind = b"sk-ecdsa-sha2-nistp256@openssh.com"

    def __init__(self) -> None:
        super().__init__()
        self._curve_key = ec.generate_private_key(ec.SECP256R1())

    @property
    def blob(self) -> bytes:
        numbers = self._curve_key.public_key().public_numbers()
        point = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        return string(self.kind) + string(b"nistp256") + string(point) + string(APPLICATION)

    def raw(self, asserted: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._curve_key.sign(asserted, ec.ECDSA(hashes.SHA256())))
        return mpint(r) + mpint(s)


def mpint(number: int) -> bytes:
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
