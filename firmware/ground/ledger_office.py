"""What the ledger tells of the office: one event a kind of act, so that whoever reads it needs no act to count by.

Knows:  names of acts, account codes, case numbers, minutes, hashes.
Never:  an officer's name, an organisation, a document's number, a code that somebody chose for a recipient or a medium.
Leaves: part of the closed list in ``ledger_events``.
Clauses: 7.3(1)3, 7.3(1)2, 4.1 (no personal data).

Every act's line has its ``number`` (from 1), ``by`` (who signed, the one that drew it up first), ``act`` (SHA-256 of
its bytes, which lie beside the ledger), ``at`` (UTC second by which it was judged), ``clock`` (was that proven).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Shape = type[int] | frozenset[str] | re.Pattern[str]

_ACCOUNT: Final = "[a-z][a-z0-9-]{1,23}"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
ACCOUNT: Final = re.compile(_ACCOUNT)
SIGNERS: Final = re.compile(f"{_ACCOUNT}(?:/{_ACCOUNT}){{0,2}}")
CASE: Final = re.compile(r"[0-9]{4}-[0-9]{3,6}")

CLOCKS: Final = frozenset({"proven", "unproven"})
HOLDS: Final = frozenset({"provisional", "confirmed"})
ROLES: Final = frozenset({"chief", "manager", "handler", "duty", "flow-manager", "auditor", "maintainer"})
REASONS: Final = frozenset({"wrong-instrument", "not-needed", "too-wide", "gone", "forged", "recipient", "other"})
METHODS: Final = frozenset({"clear", "purge", "destroy"})

_ACT: Final[Mapping[str, Shape]] = MappingProxyType(
    {"number": int, "by": SIGNERS, "act": _SHA256, "at": int, "clock": CLOCKS}
)
GROUPS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "rule": frozenset({"one_group", "two_groups", "two_of_three"}),
        "group_a": _SHA256,
        "group_b": _SHA256,
        "group_c": _SHA256,
    }
)
"""A set of officers' keys: SHA-256 over each group's sorted recipients (``footage.recipients.fingerprints``)."""

_HOLD: Final[Mapping[str, Shape]] = MappingProxyType(
    {**_ACT, "hold": int, "first_epoch": int, "last_epoch": int, "ends_epoch": int}
)
_CASE: Final[Mapping[str, Shape]] = MappingProxyType({**_ACT, "case": CASE})

OFFICE_EVENTS: Final[Mapping[str, Mapping[str, Shape]]] = MappingProxyType({
    "officers.founded": {**_ACT, "officers": int},
    "role.granted": {**_ACT, "account": ACCOUNT, "role": ROLES},
    "role.revoked": {**_ACT, "account": ACCOUNT},
    "role.override": {**_ACT, "account": ACCOUNT, "until": int},  # UTC second
    "groups.changed": {**_ACT, **GROUPS},  # both groups signed: footage takes this set, and no other, from now on
    "recipient.added": _ACT,
    "recipient.changed": _ACT,
    "recipient.suspended": _ACT,
    "recipient.resumed": _ACT,
    "recipient.removed": _ACT,
    "hold.placed": {**_HOLD, "kind": HOLDS, "living_from": int},  # minutes before living_from were over by then
    "hold.confirmed": _HOLD,
    "hold.renewed": _HOLD,
    "hold.lifted": {**_ACT, "hold": int},
    "case.opened": _CASE,
    "case.documented": _CASE,
    "case.scoped": _CASE,
    "case.approved": {**_CASE, "dossier": _SHA256},
    "case.refused": {**_CASE, "reason": REASONS},
    "case.withdrawn": _CASE,
    "case.sealed": {**_CASE, "dossier": _SHA256},
    "case.handed_over": {**_CASE, "package": _SHA256},
    "case.receipted": _CASE,
    "case.closed": _CASE,
    "medium.registered": _ACT,
    "medium.out": _CASE,
    "medium.returned": _ACT,
    "medium.sanitised": {**_ACT, "method": METHODS},
    "medium.lost": _ACT,
    "clock.stated": {**_ACT, "challenge": _SHA256},
})  # fmt: skip
