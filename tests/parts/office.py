"""An office with real keys: officers whose acts stock ssh-keygen signs and judges, a real ledger, a real journal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyrage import x25519

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Basis, Document, Instrument, Officer, RecipientKind, Role, Span
from firmware.custody.office.journal import Entry, Journal
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, SimulatedClock, iso_utc
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.note import Signer
from tests.signing import Ed25519Key

FIRST: Final = 29_923_200  # 2026-11-23T00:00Z, the small pole's
POLICE: Final = "odawara-ps"
INQUIRY: Final = Instrument.INVESTIGATION_INQUIRY
POLE: Final = "sp03"
ROLES: Final[Mapping[str, Role]] = {
    "chief": Role.CHIEF,
    "manager": Role.MANAGER,
    "handler": Role.HANDLER,
    "duty": Role.DUTY,
    "flow": Role.FLOW_MANAGER,
    "auditor": Role.AUDITOR,
    "maintainer": Role.MAINTAINER,
}
GROUPS: Final = {"chief": "a", "manager": "b"}


def new_key(path: Path, kind: str = "ed25519") -> str:
    """Make a key pair as an officer does; return the public half without a comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


@dataclass
class Office:
    """Officers, their key files, and one pole's state folder."""

    folder: Path
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(FIRST * NS_PER_MINUTE))
    proven: bool = True
    signer: Signer = field(default_factory=Ed25519Key)
    state: Path = Path()
    keys: dict[str, str] = field(default_factory=dict)
    police: x25519.Identity = field(default_factory=x25519.Identity.generate)
    nonces: int = 0

    def __post_init__(self) -> None:
        (self.folder / "keys").mkdir(parents=True, exist_ok=True)
        if self.state == Path():
            self.state = self.folder / "state"
        self.state.mkdir(exist_ok=True)
        self.signatures = SshKeygen(os.environ)
        self.lock = PoleLock(self.state / "lock")

    def keyfile(self, account: str) -> Path:
        return self.folder / "keys" / account

    def key(self, account: str) -> str:
        """The public key of ``account``, made when first asked for."""
        if account not in self.keys:
            self.keys[account] = new_key(self.keyfile(account))
        return self.keys[account]

    def officer(self, account: str, role: Role | None = None, **other: Any) -> Officer:
        other = {"group": GROUPS.get(account), **other}
        return Officer(account=account, role=role or ROLES[account], key=self.key(account), **other)

    def draw_up(self, kind: type[AnyAct], by: str, /, **fields: Any) -> AnyAct:
        """Draw up an act now."""
        self.nonces += 1
        fields = {"pole": POLE, "utc": iso_utc(self.clock.utc_ns()), "nonce": f"{self.nonces:032x}", **fields}
        act: AnyAct = kind(by=by, **fields)
        return act

    async def sign(self, act: AnyAct, *accounts: str) -> dict[str, bytes]:
        """Sign with the key files of ``accounts``."""
        return {
            name: await self.signatures.sign(act.encoded(), self.key(name), self.keyfile(name)) for name in accounts
        }

    @property
    def acts(self) -> Path:
        return self.state / "custody" / "acts"

    def ledger(self) -> Ledger:
        """The ledger as a process of its own opens it."""
        ledger = Ledger.open(self.state / "ledger", self.signer, self.clock)
        if not ledger.size:
            ledger.append("ledger.started", pole=POLE, generation=0)
        return ledger

    async def journal(self) -> Journal:
        """The journal as a process of its own opens it."""

        def instant() -> tuple[int, bool]:
            return self.clock.utc_ns(), self.proven

        return await Journal.open(self.acts, POLE, self.ledger(), self.lock, self.signatures, instant)

    async def do(self, journal: Journal, act: AnyAct, *more: str) -> Entry:
        """Have ``act`` signed by whoever drew it up and by ``more``, and do it."""
        return await journal.submit(act.encoded(), await self.sign(act, act.by, *more))

    async def found(self, *accounts: str) -> Journal:
        """Found the office with ``accounts`` (chief and manager are always there)."""
        journal = await self.journal()
        officers = tuple(self.officer(account) for account in ("chief", "manager", *accounts))
        await self.do(journal, self.draw_up(acts.OfficersFounded, "chief", officers=officers), "manager")
        return journal

    async def found_here(self, journal: Journal) -> None:
        """Found the office with chief and manager, where it is not founded."""
        if not journal.register.officers.founded:
            officers = (self.officer("chief"), self.officer("manager"))
            await self.do(journal, self.draw_up(acts.OfficersFounded, "chief", officers=officers), "manager")

    async def seal_a_case(self, journal: Journal, case: str, *spans: Span, document: str) -> str:
        """Lead ``case`` to its seal, founding the office and registering the police station first where needed.

        Returns the dossier's hash.
        """
        await self.scope_a_case(journal, case, *spans, document=document)
        return await self.approve_and_seal(journal, case)

    async def scope_a_case(self, journal: Journal, case: str, *spans: Span, document: str) -> None:
        """Lead ``case`` until two officers could approve it."""
        await self.found_here(journal)
        register = journal.register
        if POLICE not in register.recipients.entries:
            await self.do(journal, self.a_recipient())
        paper = Document(number=document, date="2026-11-20", authority="小田原警察署", instrument=INQUIRY)
        again = "別件" if register.cases.with_document(document) else None
        draw = self.draw_up
        await self.do(journal, draw(acts.CaseOpened, "manager", case=case))
        await self.do(
            journal,
            draw(acts.CaseDocumented, "manager", case=case, basis=Basis.REQUEST, document=paper, reason=again),
        )
        await self.do(journal, draw(acts.CaseScoped, "manager", case=case, spans=spans, recipient=POLICE))

    async def approve_and_seal(self, journal: Journal, case: str) -> str:
        """Have manager and chief approve the case as it is scoped, and seal it; return the dossier's hash."""
        register = journal.register
        dossier = dossier_of(register.cases.known(case), register.recipients, POLE).sha256()
        for account in ("manager", "chief"):
            await self.do(journal, self.draw_up(acts.CaseApproved, account, case=case, dossier=dossier))
        await self.do(journal, self.draw_up(acts.CaseSealed, "manager", case=case, dossier=dossier))
        return dossier

    def a_recipient(self, code: str = POLICE, days: int = 30) -> AnyAct:
        """A police station is registered, for ``days``."""
        return self.draw_up(
            acts.RecipientAdded,
            "manager",
            recipient=code,
            organisation="小田原警察署",
            kind=RecipientKind.POLICE_STATION,
            age_recipient=str((self.police if code == POLICE else x25519.Identity.generate()).to_public()),
            not_after=iso_utc(self.clock.utc_ns() + days * 24 * 60 * NS_PER_MINUTE),
        )

    def pass_seconds(self, seconds: int) -> None:
        self.clock.step(seconds * NS_PER_SECOND)
