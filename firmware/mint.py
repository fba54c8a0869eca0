"""The mint: makes epochs' key pairs in a jail of its own and ends.

Knows:  the officers' public keys, which epochs are wanted.
Never:  a file, a network, a second of life after its last answer; a private half in an answer, unless encrypted.
Leaves: one JSON line an epoch: ``epoch``, ``recipient``, ``sealed_identity`` (base64 of age(A, age(B, identity))).
Clauses: 7.3(1)1 (neither the pole nor one group alone can open what is recorded).

Run by ``drivers.mint_process`` only. What it made is gone with its process; its memory is not dumpable, not swapped
to a file of its own, and no other process of its user exists to read it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

import pyrage

from firmware.drivers.jail_door import Door

MOST_EPOCHS_A_REQUEST: Final = 60


def mint_epoch(epoch: int, groups: Mapping[str, Sequence[str]]) -> dict[str, int | str]:
    """Return one new pair as it may leave: ``groups["b"]`` may be empty only on a bench.

    The inner age file is for group B and the outer for group A, so that each group needs the other.
    """
    identity = pyrage.x25519.Identity.generate()
    sealed = str(identity).encode("ascii")
    for group in (groups["b"], groups["a"]):
        if group:
            sealed = pyrage.encrypt(sealed, [pyrage.x25519.Recipient.from_str(recipient) for recipient in group])
    return {
        "epoch": epoch,
        "recipient": str(identity.to_public()),
        "sealed_identity": base64.b64encode(sealed).decode("ascii"),
    }


def answer(request: bytes, groups: Mapping[str, Sequence[str]]) -> bytes:
    """Answer ``{"first_epoch": int, "count": int}`` by ``count`` JSON lines. Raises ValueError for anything else."""
    wanted = json.loads(request)
    first, count = int(wanted["first_epoch"]), int(wanted["count"])
    if not 0 < count <= MOST_EPOCHS_A_REQUEST:
        message = f"1 to {MOST_EPOCHS_A_REQUEST} epochs a request"
        raise ValueError(message)
    lines = [json.dumps(mint_epoch(first + place, groups), separators=(",", ":")) for place in range(count)]
    return "\n".join(lines).encode("ascii")


def main() -> None:
    """Serve requests until the parent closes its end."""
    door = Door.from_argv()
    groups: dict[str, list[str]] = door.argument["groups"]
    if not groups["a"]:
        raise SystemExit(2)
    answer(b'{"first_epoch":0,"count":1}', groups)  # every recipient reads well, every library is loaded
    door.shut()
    for request, _ in door.requests():
        door.answer(answer(request, groups))


if __name__ == "__main__":
    main()
