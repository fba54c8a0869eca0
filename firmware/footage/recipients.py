"""Whose keys may open what is recorded from now on: told in the ledger, and changed only by a line of both sides.

Knows:  fingerprints of the officers' groups in the settings, the ledger's lines about them.
Never:  a change of footage.toml taken for a decision: root can write that file, two officers must sign that line.
Leaves: a verdict; the fields of ``recipients.*`` lines.
Clauses: 7.3(1)1 (the two groups decide together who they are), 4.2(3).

The first start founds: there is no earlier line, and the ceremony's sheet (board/KEYS.md) is the record. Any later
set needs a ``groups.changed`` line with exactly its fingerprints, written after the set in force was told. One
approval is good for one change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from firmware.footage.nesting import Groups, rule_of
from firmware.ground.errors import KeystoreError
from firmware.ground.ledger_events import Value
from firmware.ground.ledger_lines import Line

Standing = Literal["founding", "unchanged", "approved", "refused"]

APPROVALS: Final = ("groups.changed", "recipients.approved")
"""The act that an officer of each group signed; or the bare line, for a pole whose officers sign on paper."""

MARK: Final = b'"group_a":"'
"""Every line that :func:`standing` reads has these bytes: a year's ledger is passed over quickly."""

_NAMES: Final = ("group_a", "group_b", "group_c")


def fingerprints(groups: Groups) -> dict[str, Value]:
    """Return the fields that name a set of groups: its rule, and the SHA-256 over each group's sorted recipients.

    For two-of-three the officers 1, 2 and 3 stand as ``group_a``, ``group_b``, ``group_c``; a group that does not exist
    has the hash of nothing.
    """
    padded = [*groups, *((),) * (3 - len(groups))]
    return {"rule": rule_of(groups), **{name: _fingerprint(group) for name, group in zip(_NAMES, padded, strict=True)}}


def standing(groups: Groups, lines: Iterable[Line]) -> Standing:
    """Judge ``groups`` by the ledger's lines, in their order (``recipients.set`` and ``APPROVALS`` are read)."""
    wanted = fingerprints(groups)
    in_force: Mapping[str, Value] | None = None
    approved = False
    for line in lines:
        if line.event == "recipients.set":
            in_force, approved = line.fields, False
        elif line.event in APPROVALS:
            approved = _same(line.fields, wanted)
    if in_force is None:
        return "founding"
    if _same(in_force, wanted):
        return "unchanged"
    return "approved" if approved else "refused"


def refused() -> KeystoreError:
    """Return the error for a set of officers' keys that no two sides have signed for."""
    return KeystoreError(
        "E-KEY-RECIPIENTS",
        "the officers' keys in footage.toml are not those that the ledger says both groups agreed on",
        where="footage.toml: officers",
        todo="put the old keys back, or have an officer of each group sign the change (groups.changed) on this pole",
        clause="7.3(1)1",
    )


def _same(fields: Mapping[str, Value], wanted: Mapping[str, Value]) -> bool:
    """Compare, taking a line of the first version (two groups, without a rule) for what it meant."""
    nothing = _fingerprint(())
    old = "two_groups" if fields.get("group_b") != nothing else "one_group"
    told: dict[str, Value] = {"rule": old, "group_c": nothing, **fields}
    return all(told[name] == wanted[name] for name in wanted)


def _fingerprint(recipients: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{recipient}\n" for recipient in sorted(recipients)).encode("ascii")).hexdigest()
