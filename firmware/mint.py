"""The mint: makes epochs' key pairs in a jail of its own and ends.

Knows:  the officers' public keys, which epochs are wanted.
Never:  a file, a network, a second of life after its last answer; a private half in an answer, unless encrypted.
Leaves: one JSON line an epoch: ``epoch``, ``recipient``, ``sealed_identity`` (base64 of age(A, age(B, identity)), or of
        one such file for each pair of three officers).
Clauses: 7.3(1)1 (neither the pole nor one group alone can open what is recorded).

Run by ``drivers.mint_process`` only. What it made is gone with its process; its memory is not dumpable, not swapped
to a file of its own, and no other process of its user exists to read it.
"""

from __future__ import annotations

import base64
import json
from typing import Final

import pyrage

from firmware.drivers.jail_door import Door
from firmware.footage.nesting import Groups, pack, seal_for

MOST_EPOCHS_A_REQUEST: Final = 60


def mint_epoch(epoch: int, groups: Groups) -> dict[str, int | str]:
    """Return one new pair as it may leave, its private half sealed for ``groups`` (one group: only on a bench)."""
    identity = pyrage.x25519.Identity.generate()
    sealed = pack(seal_for(str(identity).encode("ascii"), groups))
    return {
        "epoch": epoch,
        "recipient": str(identity.to_public()),
        "sealed_identity": base64.b64encode(sealed).decode("ascii"),
    }


def answer(request: bytes, groups: Groups) -> bytes:
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
    groups: list[list[str]] = door.argument["groups"]
    if not groups or not all(groups):
        raise SystemExit(2)
    answer(b'{"first_epoch":0,"count":1}', groups)  # every recipient reads well, every library is loaded
    door.shut()
    for request, _ in door.requests():
        door.answer(answer(request, groups))


if __name__ == "__main__":
    main()
