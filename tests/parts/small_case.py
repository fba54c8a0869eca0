"""A case of the small pole led to its seal by real officers, its bundle, and the package's tree made of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyrage import x25519

from firmware.custody.bundle.span import Span
from firmware.custody.office import acts
from firmware.custody.office.fields import WORDS, RecipientKind
from firmware.custody.package.making import Desk, write_tree
from firmware.custody.package.tree import PART_90K
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import MinuteNumber, iso_utc
from firmware.ground.note import Signer
from tests.parts.office import POLICE
from tests.parts.small_pole import FIRST, SmallPole

DOCUMENT: Final = "小刑発第123号"
AUTHORITY: Final = "小田原警察署"
ALL: Final = Span(FIRST, MinuteNumber(FIRST + 4))
DAY_NS: Final = 86_400 * 10**9


def desk(pole: SmallPole, *, longest_90k: int = PART_90K, **changed: Any) -> Desk:
    """A desk at the pole's present time, the pole's key and the officers' keys compared."""
    values: dict[str, Any] = {"expected_key": pole.public_key(), "prove": pole.prove} | changed
    return Desk(pole.clock, "handler-01", partial(Mp4Film, longest_90k=longest_90k), **values)


@dataclass(frozen=True)
class Handed:
    """A pole, its bundle, the recipient's key, the plain tree."""

    pole: SmallPole
    bundle: Path
    recipient: x25519.Identity
    tree: Path


async def register(pole: SmallPole, sealed_to: str) -> None:
    """Found the office and register the police station, its packages sealed to that key (or to words)."""
    office, journal = pole.office, await pole.journal(pole.holdings())
    await office.found_here(journal)
    body = office.draw_up(
        acts.RecipientAdded,
        "manager",
        recipient=POLICE,
        organisation=AUTHORITY,
        kind=RecipientKind.POLICE_STATION,
        age_recipient=sealed_to,
        not_after=iso_utc(pole.clock.utc_ns() + 30 * DAY_NS),
    )
    await office.do(journal, body)
    pole.ledger.refresh()


async def hand_over(
    folder: Path,
    *,
    words: bool = False,
    spans: tuple[Span, ...] = (ALL,),
    key: Signer | None = None,
    sign: bool = False,
) -> Handed:
    """Five minutes, a chunk of the second lost, the fourth erased; their case, bundle and tree.

    ``key``: the pole's, as a TPM has it. ``sign``: the handler signs the hashes.
    """
    pole = await SmallPole.begin(folder / "state", key=key)
    for epoch in range(FIRST, FIRST + 5):
        pole.record(epoch)
    pole.store.chunks(MinuteNumber(FIRST + 1))[2].unlink()
    await pole.erase(FIRST + 3, FIRST + 3)
    recipient = x25519.Identity.generate()
    await register(pole, WORDS if words else str(recipient.to_public()))
    bundle = folder / "bundle.tar"
    await pole.bundle(bundle, *spans, document=DOCUMENT)
    signed = partial(_signed, pole) if sign else None
    await asyncio.to_thread(write_tree, bundle, pole.officers.keys(), desk(pole, sign=signed), folder / "tree")
    return Handed(pole, bundle, recipient, folder / "tree")


def _signed(pole: SmallPole, sums: bytes) -> bytes:
    office = pole.office
    signing = office.signatures.sign(
        sums, office.key("handler"), office.keyfile("handler"), namespace="package.smartpole"
    )
    return asyncio.run(signing)


def file_names(folder: Path) -> set[str]:
    """The names of all files under ``folder``."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
