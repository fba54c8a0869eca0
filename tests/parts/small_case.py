"""A case for the small pole: everything a package needs to know, as a pole's bundle would carry it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from pyrage import x25519

from firmware.custody.bundle.span import Span
from firmware.custody.office.fields import Basis, Document, Instrument, RecipientKind
from firmware.custody.office.fields import Span as CaseSpan
from firmware.custody.package.facts import CaseFacts, Recipient, Step
from firmware.custody.package.making import Desk, write_tree
from firmware.custody.package.tree import PART_90K
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import MinuteNumber
from tests.parts.small_pole import FIRST, SmallPole

DOCUMENT: Final = "小刑発第123号"
AUTHORITY: Final = "神奈川県小田原警察署"


def case(recipient: x25519.Identity | None, **changed: Any) -> CaseFacts:
    """Case 2026-0012 over the small pole's ten minutes, to ``recipient``'s key; ``changed`` fields instead."""
    body = Recipient(
        code="odawara-ps",
        organisation=AUTHORITY,
        kind=RecipientKind.POLICE_STATION,
        age_recipient=None if recipient is None else str(recipient.to_public()),
        not_after="2027-03-31T15:00:00Z",
    )
    facts = CaseFacts(
        case="2026-0012",
        basis=Basis.REQUEST,
        document=Document(
            number=DOCUMENT, date="2026-11-23", authority=AUTHORITY, instrument=Instrument.INVESTIGATION_INQUIRY
        ),
        spans=(CaseSpan(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 9),),
        recipient=body,
        approved_by=("manager-01", "chief-01"),
        steps=(
            Step(what="case.documented", utc="2026-11-23T00:06:00Z", by="manager-01", sha256="1" * 64, ledger_line=6),
            Step(what="case.approved", utc="2026-11-23T00:07:00Z", by="manager-01", sha256="2" * 64, ledger_line=7),
            Step(what="case.approved", utc="2026-11-23T00:08:00Z", by="chief-01", sha256="3" * 64, ledger_line=8),
        ),
    )
    return msgspec.structs.replace(facts, **changed)


def desk(pole: SmallPole, *, longest_90k: int = PART_90K, **changed: Any) -> Desk:
    """A desk at the pole's present time, the pole's key compared."""
    values: dict[str, Any] = {"expected_key": pole.public_key(), "work": None, "sign": None} | changed
    return Desk(pole.clock, "handler-01", partial(Mp4Film, longest_90k=longest_90k), pole.prove, **values)


@dataclass(frozen=True)
class Handed:
    """A pole, its bundle, the case, the recipient's key, the plain tree."""

    pole: SmallPole
    bundle: Path
    facts: CaseFacts
    recipient: x25519.Identity
    tree: Path


async def hand_over(folder: Path) -> Handed:
    """Five minutes, a chunk of the second lost, the fourth erased; their bundle; its tree."""
    pole = await SmallPole.begin(folder / "state")
    for epoch in range(FIRST, FIRST + 5):
        pole.record(epoch)
    pole.store.chunks(MinuteNumber(FIRST + 1))[2].unlink()
    await pole.erase(FIRST + 3, FIRST + 3)
    bundle = folder / "bundle.tar"
    await pole.bundle(bundle, Span(FIRST, MinuteNumber(FIRST + 4)))
    recipient = pole.office.police
    facts = case(recipient)
    write_tree(bundle, facts, pole.officers.keys(), desk(pole), folder / "tree")
    return Handed(pole, bundle, facts, recipient, folder / "tree")


def file_names(folder: Path) -> set[str]:
    """The names of all files under ``folder``."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
