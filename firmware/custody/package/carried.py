"""The case that a bundle carries.

Knows:  a bundle's proven members.
Never:  a case that somebody tells: what the package rests on comes from the pole, signed.
Leaves: the facts of the case, or a refusal.
Clauses: 7.2(1)2, 7.3(1)2.
"""

from __future__ import annotations

from pathlib import Path

from firmware.custody.bundle import archive
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.package.facts import CaseFacts
from firmware.ground.errors import CaseError


def facts_of(bundle: Path, expected_key: PoleKey | None) -> CaseFacts:
    """Return the case in ``bundle``, proven. Raises :class:`CaseError`, :class:`LedgerError`."""
    with archive.reading(bundle) as reader:
        checked = CheckedBundle(reader, expected_key)
    raise CaseError(
        "E-CASE-NONE", "this bundle carries no case", where=checked.where,
        todo="seal the case on the pole; a bundle by document number alone is opened with pole-custodian open",
        clause="7.2(1)",
    )  # fmt: skip
