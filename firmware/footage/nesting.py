"""Who must come together to open a minute: one age file inside another, so that each officer takes off one layer.

Knows:  officers' public keys, the three rules.
Never:  a private half of an officer; a layer of our own making (``age -d`` takes each of them off).
Leaves: one sealed file, or for two-of-three one for each pair.
Clauses: 7.3(1)1 (no officer alone), 7.2(1) (an absent officer does not stop the law).

age has no threshold. "Two of three" is therefore three files, one for each pair of officers 1, 2 and 3; the lower
number is the outer layer: ``age -d -i officer-1 13.age | age -d -i officer-3``. Each officer may have several keys (a
spare token); any of them takes that officer's layer off. Two groups are one file, group A outside.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pyrage

Rule = Literal["one_group", "two_groups", "two_of_three"]
Groups = Sequence[Sequence[str]]
"""Public keys (``age1...``) of each group: one, two, or three groups."""

WHOLE: Final = ""
PAIRS: Final = ("12", "13", "23")

_AGE: Final = b"age-encryption.org/v1\n"
_PACKED: Final = b"POLE2OF3"
_LENGTH: Final = struct.Struct(">H")
_RULES: Final[Mapping[int, Rule]] = {1: "one_group", 2: "two_groups", 3: "two_of_three"}


def rule_of(groups: Groups) -> Rule:
    """Return the rule that so many groups mean. Raises KeyError for any other number."""
    return _RULES[len(groups)]


def seal_for(plain: bytes, groups: Groups) -> dict[str, bytes]:
    """Return ``plain`` as it may leave: ``{"": file}``, or for three groups ``{"12": file, "13": ..., "23": ...}``."""
    if rule_of(groups) != "two_of_three":
        return {WHOLE: _layers(plain, groups)}
    return {
        f"{one + 1}{two + 1}": _layers(plain, (groups[one], groups[two]))
        for one, two in itertools.combinations(range(3), 2)
    }


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the files of :func:`seal_for` as the bytes that an epoch table keeps of a minute."""
    if set(files) == {WHOLE}:
        return files[WHOLE]
    return _PACKED + b"".join(_LENGTH.pack(len(files[pair])) + files[pair] for pair in PAIRS)


def unpack(sealed: bytes) -> dict[str, bytes]:
    """Return what :func:`pack` was given. Raises ValueError for bytes that it never makes."""
    if not sealed.startswith(_PACKED):
        files = {WHOLE: sealed}
    else:
        files, place = {}, len(_PACKED)
        for pair in PAIRS:
            end = place + _LENGTH.size
            if len(sealed) < end:
                break
            length = _LENGTH.unpack_from(sealed, place)[0]
            files[pair], place = sealed[end : end + length], end + length
        if place != len(sealed) or len(files) != len(PAIRS):
            raise ValueError("not three age files")
    if not all(file.startswith(_AGE) for file in files.values()):
        raise ValueError("not an age file")
    return files


def _layers(plain: bytes, groups: Groups) -> bytes:
    sealed = plain
    for group in reversed(groups):  # the first group's layer is the outer one
        sealed = pyrage.encrypt(sealed, [pyrage.x25519.Recipient.from_str(recipient) for recipient in group])
    return sealed
