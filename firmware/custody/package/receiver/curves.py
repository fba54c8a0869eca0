"""Signatures judged with the standard library alone: Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5).

Knows:  public keys, messages, signatures.
Never:  a private key or a secret number: nothing here has to run in constant time.
Leaves: verdicts.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import base64
import hashlib

ED_P = 2**255 - 19
ED_L = 2**252 + 27742317777372353535851937790883648493
ED_D = -121665 * pow(121666, ED_P - 2, ED_P) % ED_P
P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


UNJUDGED = (b"ssh-rsa", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521")
"""Kinds that OpenSSH signs with, and this program does not judge."""


class UnknownKind(Exception):  # noqa: N818 - a verdict
    """A kind of key that this program cannot judge: that says nothing about the signature."""


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` (64 bytes) is ``public``'s (32 bytes) over ``message``."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _ed_point(public), _ed_point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    base = _ed_point((4 * pow(5, ED_P - 2, ED_P) % ED_P).to_bytes(32, "little"))
    if a is None or r is None or base is None or s >= ED_L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ED_L
    left, right = _ed_times(s, base), _ed_add(r, _ed_times(k, a))
    return all((left[i] * right[2] - right[i] * left[2]) % ED_P == 0 for i in (0, 1))


def ecdsa_p256(x: int, y: int, message: bytes, r: int, s: int) -> bool:
    """Tell whether ``(r, s)`` is the signature of ``message`` (SHA-256) by the public point ``(x, y)``."""
    on_curve = (y * y - x * x * x + 3 * x - P256_B) % P256_P == 0 and max(x, y) < P256_P
    if not (on_curve and 0 < r < P256_N and 0 < s < P256_N):
        return False
    inverse = pow(s, -1, P256_N)
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    point = _p_add(_p_times(digest * inverse % P256_N, P256_G), _p_times(r * inverse % P256_N, (x, y)))
    return point is not None and point[0] % P256_N == r


def der_pair(der: bytes) -> tuple[int, int]:
    """Return ``(r, s)`` of an ECDSA signature; ``(0, 0)``, which verifies nothing, for anything but strict DER."""
    found: list[int] = []
    at = 2
    while der[:1] == b"\x30" and len(der) < 128 and len(found) < 2 and der[at : at + 1] == b"\x02":
        length = der[at + 1] if at + 1 < len(der) else 0
        found.append(int.from_bytes(der[at + 2 : at + 2 + length], "big"))
        at += 2 + length
    if len(found) != 2:
        return 0, 0
    body = b"".join(
        b"\x02" + bytes([n.bit_length() // 8 + 1]) + n.to_bytes(n.bit_length() // 8 + 1, "big") for n in found
    )
    return (found[0], found[1]) if der == b"\x30" + bytes([len(body)]) + body else (0, 0)


def ssh_signed(armored: str, namespace: bytes, message: bytes) -> str:
    """Return the fingerprint (``SHA256:...``) of the key that signed ``message`` by ``ssh-keygen -Y sign``.

    Ed25519 and ECDSA P-256 keys, on a security key (``sk-``) too; UnknownKind for others, ValueError for a false one.
    """
    rows = armored.split("\n")
    blob = base64.b64decode("".join(rows[1:-2]), validate=True)
    packed = base64.b64encode(blob).decode()
    exact = [packed[at : at + 70] for at in range(0, len(packed), 70)]
    if rows != ["-----BEGIN SSH SIGNATURE-----", *exact, "-----END SSH SIGNATURE-----", ""]:
        raise ValueError("not as ssh-keygen writes it")
    key, space, reserved, hashed, signature = ssh_fields(blob[10:])
    names = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
    if blob[:10] != b"SSHSIG\0\0\0\1" or space != namespace or reserved or hashed not in names:
        raise ValueError("another kind of signature")
    digest = names[hashed](message).digest()
    signed = b"SSHSIG" + b"".join(len(part).to_bytes(4, "big") + part for part in (space, b"", hashed, digest))
    kind, *fields = ssh_fields(key)
    signed_kind, raw, *_ = ssh_fields(signature[: -5 if kind.startswith(b"sk-") else None])
    if kind.startswith(b"sk-"):
        flags, application = signature[-5:], fields[-1]
        signed = hashlib.sha256(application).digest() + flags + hashlib.sha256(signed).digest()
    if kind in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"):
        good = ed25519(fields[0], signed, raw)
    elif kind in (b"ecdsa-sha2-nistp256", b"sk-ecdsa-sha2-nistp256@openssh.com") and fields[0] == b"nistp256":
        r, s = (int.from_bytes(part, "big") for part in ssh_fields(raw))
        x, y = (int.from_bytes(fields[1][at : at + 32], "big") for at in (1, 33))
        good = len(fields[1]) == 65 and fields[1][:1] == b"\4" and ecdsa_p256(x, y, signed, r, s)
    elif kind in UNJUDGED:
        raise UnknownKind(kind.decode())
    else:
        raise ValueError("no kind of key")
    if not good or signed_kind != kind:
        raise ValueError("a false signature")
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def ssh_fields(packed: bytes) -> list[bytes]:
    """Split length-prefixed fields. Raises ValueError where they do not fill ``packed`` exactly."""
    found, at = [], 0
    while at < len(packed):
        length = int.from_bytes(packed[at : at + 4], "big")
        found.append(packed[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(packed):
        raise ValueError("cut short")
    return found


def _ed_add(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    a = (one[1] - one[0]) * (two[1] - two[0]) % ED_P
    b = (one[1] + one[0]) * (two[1] + two[0]) % ED_P
    c, d = 2 * one[3] * two[3] * ED_D % ED_P, 2 * one[2] * two[2] % ED_P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % ED_P, g * h % ED_P, f * g % ED_P, e * h % ED_P)


def _ed_times(scalar: int, point: tuple[int, ...]) -> tuple[int, ...]:
    total: tuple[int, ...] = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _ed_add(total, point)
        point, scalar = _ed_add(point, point), scalar >> 1
    return total


def _ed_point(packed: bytes) -> tuple[int, ...] | None:
    y, sign = int.from_bytes(packed, "little") & (2**255 - 1), packed[31] >> 7
    if y >= ED_P:
        return None
    square = (y * y - 1) * pow(ED_D * y * y + 1, ED_P - 2, ED_P) % ED_P
    x = pow(square, (ED_P + 3) // 8, ED_P)
    if (x * x - square) % ED_P:
        x = x * pow(2, (ED_P - 1) // 4, ED_P) % ED_P
    if (x * x - square) % ED_P or (x == 0 and sign):
        return None
    x = ED_P - x if x & 1 != sign else x
    return (x, y, 1, x * y % ED_P)


def _p_add(one: tuple[int, int] | None, two: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % P256_P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P256_P)
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P256_P)
    x = (slope * slope - one[0] - two[0]) % P256_P
    return x, (slope * (one[0] - x) - one[1]) % P256_P


def _p_times(scalar: int, point: tuple[int, int] | None) -> tuple[int, int] | None:
    total: tuple[int, int] | None = None
    while scalar:
        if scalar & 1:
            total = _p_add(total, point)
        point, scalar = _p_add(point, point), scalar >> 1
    return total
