"""Who decided: a case's acts judged with the standard library alone, each signature by the key its officer then had.

Knows:  acts as canonical text, SSH signatures under them, the officers that the acts themselves name.
Never:  a rule about who may do what: the pole judged that, and its ledger says so.
Leaves: the accounts that approved a dossier, or a refusal.
Clauses: 7.2(1) (two officers), 7.3(1)3.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from firmware.custody.package.receiver.curves import ssh_signed

ACT_NAMESPACE = b"act.smartpole"


def approved_by(entries: list[dict[str, Any]], signers: list[list[str]], dossier: str) -> list[str]:
    """Return the accounts that approved ``dossier`` (SHA-256), in order, each once.

    ``entries`` are acts with their signatures, ``signers`` whose they must be, as the ledger's lines tell. Raises
    ValueError for a false signature, UnknownKind for a key that this program cannot judge.
    """
    keys: dict[str, str] = {}
    found: list[str] = []
    for entry, accounts in zip(entries, signers):  # noqa: B905 - Python 3.8; both are made from one list
        act = json.loads(entry["act"])
        if act["act"] == "officers.founded":  # whoever signs it is named in it
            keys.update({officer["account"]: officer["key"] for officer in act["officers"]})
        if sorted(entry["signatures"]) != sorted(accounts):
            raise ValueError("other signatures than the ledger tells of")
        for account in accounts:
            made_by = ssh_signed(entry["signatures"][account], ACT_NAMESPACE, entry["act"].encode())
            if made_by != fingerprint(keys[account]):
                raise ValueError("another key's signature")
        if act["act"] == "role.granted":
            keys[act["officer"]["account"]] = act["officer"]["key"]
        if act["act"] == "role.revoked":
            keys.pop(act["account"], None)
        if act["act"] == "case.approved" and act["dossier"] == dossier:
            found += [account for account in accounts if account not in found]
    return found


def fingerprint(key: str) -> str:
    """Return ``SHA256:...`` of a public key as OpenSSH writes it in one line."""
    packed = base64.b64decode(key.split(" ")[1], validate=True)
    return "SHA256:" + base64.b64encode(hashlib.sha256(packed).digest()).decode().rstrip("=")
