"""How a command acts: draw up, say what follows, have it typed where it cannot be undone, sign, do. One flow for all.

Knows:  the options that every acting command has; a pole's journal; the port that signs.
Never:  an act done unseen, an officer's private half on a pole, a prompt in a command of its own.
Leaves: acts that took effect; or files to be signed at the desk; refusals before anybody signs.
Clauses: 5.1(1), 7.2(1), 7.3(1)1, 7.3(1)2.

``commands`` makes commands of it; one that does more than an act (sealing, handing over) uses :class:`Office` itself.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from firmware.custodian.answers import Facts, Json
from firmware.custodian.language import language
from firmware.custodian.pole_folder import CONFIG, Config, State, open_holdings, refuse_on_a_pole, settings_of
from firmware.custody.bundle.making import Holdings
from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.authority import authorise, needed
from firmware.custody.office.journal import Entry, Journal
from firmware.custody.office.register import Register, decide, name_of, of
from firmware.custody.office.sentences import afterwards, asking, word_for
from firmware.custody.office.signatures import READING, Signatures
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_SECOND, SystemClock, iso_utc
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError, ConfigError

By = Annotated[str, typer.Option("--as", help="Your account: the officer who acts.")]
With = Annotated[list[str] | None, typer.Option("--with", help="Another officer who signs too; may be repeated.")]
SignWith = Annotated[
    list[Path] | None,
    typer.Option("--sign-with", help="Key file, in the order of --as and --with; without one your ssh agent signs."),
]
DrawUp = Annotated[Path | None, typer.Option("--draw-up", help="Write the act to this file, to be signed elsewhere.")]
PoleName = Annotated[str, typer.Option("--pole", help="At the desk, with --draw-up: for which pole.")]
Yes = Annotated[str, typer.Option("--yes", help="The word that would be asked for, typed beforehand.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What every command that acts was given; ``commands`` makes its options of these fields."""

    by: By = ""
    sign_with: SignWith = None
    config: Config = CONFIG
    state: State = None
    as_json: Json = False
    others: With = None
    draw_up: DrawUp = None
    pole: PoleName = ""
    yes: Yes = ""

    @property
    def accounts(self) -> list[str]:
        """Return who signs, first who draws up. Raises :class:`ConfigError` where nobody is named."""
        if not self.by:
            raise ConfigError("E-CONFIG-ACCOUNT", "nobody acts", where="--as", todo="say who you are: --as ACCOUNT")
        return [self.by, *(self.others or [])]


@dataclass(frozen=True, slots=True)
class Office:
    """A pole's office as one command finds it; at the desk only ``pole`` and the time are known."""

    pole: str
    now_ns: int
    proven: bool
    options: Options
    signatures: Signatures
    bases: LegalBases | None = None
    journal: Journal | None = None
    holdings: Holdings | None = None

    @property
    def register(self) -> Register:
        """What is in force; at the desk nothing is known of it."""
        return self.journal.register if self.journal else Register(self.pole)

    def draft(self, kind: type[AnyAct], /, **fields: object) -> AnyAct:
        """Draw up an act of these fields, now, by the officer who acts. Raises :class:`CaseError` (E-OFFICE-FIELD)."""
        own: dict[str, Any] = dict(fields)
        utc, nonce = iso_utc(self.now_ns), secrets.token_hex(16)
        try:
            return acts.decode(kind(pole=self.pole, utc=utc, by=self.options.accounts[0], nonce=nonce, **own).encoded())
        except msgspec.ValidationError as error:
            raise CaseError(
                "E-OFFICE-FIELD", str(error), where=str(kind.__struct_config__.tag),
                todo="correct it; codes are small letters, digits and hyphens",
            ) from None  # fmt: skip

    async def settle(self, act: AnyAct) -> Facts:
        """Say what follows, ask, sign and do ``act`` (or write it down to be signed); return the facts."""
        what = of(self.register, act)
        if self.options.draw_up is None:
            self._preview(act)
        sentence = afterwards(what, act, language())
        if not self.options.as_json:
            typer.echo(sentence, err=True)
        self._ask(act)
        facts: Facts = {"what": what, "pole": self.pole, "sha256": act.sha256()}
        if self.options.as_json:  # everybody else has just read it
            facts["afterwards"] = sentence
        if self.options.draw_up is not None:
            return facts | await self._drawn_up(act, self.options.draw_up)
        return facts | facts_of(await self.sign_and_submit(act))

    async def sign_and_submit(self, act: AnyAct) -> Entry:
        """Have all accounts sign ``act`` and do it."""
        if self.journal is None:
            raise ConfigError("E-CONFIG-STATE", "there is no pole here", where="--pole", todo="use --draw-up as well")
        return await self.journal.submit(act.encoded(), await self._signed(act), self.bases)

    async def _signed(self, act: AnyAct) -> dict[str, bytes]:
        files = self.options.sign_with or []
        if files:
            refuse_on_a_pole()
        signed = {}
        for place, account in enumerate(self.options.accounts):
            key = self.register.key(act, account)
            if key is None:
                self.register.signer(act, account, self.now_ns)  # says why not
            keyfile = files[place] if place < len(files) else None
            signed[account] = await self.signatures.sign(act.encoded(), key or "", keyfile)
        return signed

    def _preview(self, act: AnyAct) -> None:
        """Refuse before anybody signs what would be refused afterwards."""
        decide(self.register, act, self.options.accounts, self.now_ns, proven=self.proven, bases=self.bases)

    def _ask(self, act: AnyAct) -> None:
        word = word_for(act)
        if word is None or self.options.yes == word:
            return
        typed = ""
        if not self.options.as_json and not self.options.yes:
            typed = str(typer.prompt(asking("word", language(), word=word), default="", show_default=False, err=True))
        if typed != word:
            raise CaseError(
                "E-OFFICE-WORD", "this cannot be undone and was not confirmed", where=name_of(act),
                todo=f"type {word} when asked, or give --yes {word}", clause="7.3(1)2",
            )  # fmt: skip

    async def _drawn_up(self, act: AnyAct, file: Path) -> Facts:
        if await asyncio.to_thread(file.exists):
            raise CaseError("E-OFFICE-OUT", "there is a file of that name", where=str(file), todo="choose another name")
        await asyncio.to_thread(write_file, file, act.encoded())
        facts: Facts = {"file": str(file), "needs": [list(roles) for roles in needed(of(self.register, act))]}
        if self.options.sign_with:
            for account, signature in (await self._desk_signed(act)).items():
                await asyncio.to_thread(write_file, signature_file(file, account), signature)
                facts.setdefault("signatures", []).append(str(signature_file(file, account)))
        if not self.options.as_json:
            typer.echo(asking("drawn-up", language(), file=file), err=True)
        return facts

    async def _desk_signed(self, act: AnyAct) -> dict[str, bytes]:
        """Sign with key files whose public halves lie beside them: at the desk no register says whose they are."""
        refuse_on_a_pole()
        signed = {}
        for account, keyfile in zip(self.options.accounts, self.options.sign_with or [], strict=False):
            public = await asyncio.to_thread(public_key, keyfile.with_name(keyfile.name + ".pub"))
            signed[account] = await self.signatures.sign(act.encoded(), public, keyfile)
        return signed


def facts_of(entry: Entry) -> Facts:
    """Return what there is to say of an act that took effect."""
    return {
        "act": entry.number, "signed_by": list(entry.signers), "at": iso_utc(entry.at_ns), "ledger_line": entry.line,
    }  # fmt: skip


def signature_file(file: Path, account: str) -> Path:
    """Return where the signature of ``account`` under the act in ``file`` lies."""
    return file.with_name(f"{file.name}.{account}.sig")


def public_key(path: Path) -> str:
    """Return the key in an OpenSSH ``.pub`` file, without its comment. Raises :class:`ConfigError`."""
    try:
        words = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        words = []
    if len(words) < 2:
        raise ConfigError(
            "E-CONFIG-FILE", "this is no public key", where=str(path), todo="give the .pub file of ssh-keygen"
        )
    return " ".join(words[:2])


async def open_office(options: Options) -> Office:
    """Open the pole's office, or, with ``--pole`` and ``--draw-up``, the desk's."""
    signatures = SshKeygen(os.environ)
    if options.pole and options.draw_up:
        return Office(
            options.pole, _whole(SystemClock().utc_ns()), proven=False, options=options, signatures=signatures
        )
    _, footage, folder = settings_of(options.config, options.state)
    holdings = await open_holdings(options.config, options.state)

    def instant() -> tuple[int, bool]:
        return holdings.trust.now_ns(), holdings.release_open()

    journal = await Journal.open(
        folder / "custody" / "acts", holdings.pole, holdings.ledger, holdings.lock, signatures, instant
    )
    for path in journal.aside:
        typer.echo(asking("aside", language(), path=path), err=True)
    now_ns, proven = instant()
    return Office(holdings.pole, _whole(now_ns), proven, options, signatures, footage.legal_bases, journal, holdings)


async def prove_who_asks(office: Office, what: str) -> None:
    """Raise :class:`CaseError` unless the officer who asks may know ``what`` and holds the account's key now."""
    if not office.register.officers.founded:
        return
    account = office.options.accounts[0]
    signer = office.register.officers.signer(account, office.now_ns)
    authorise(what, [signer])
    if office.options.sign_with:
        refuse_on_a_pole()
    keyfile = office.options.sign_with[0] if office.options.sign_with else None
    challenge = f"{office.pole} {what} {account} {secrets.token_hex(16)}\n".encode()
    key = office.register.officers.key(account) or ""
    await office.signatures.sign(challenge, key, keyfile, namespace=READING)  # judges its own signature


def _whole(now_ns: int) -> int:
    return now_ns - now_ns % NS_PER_SECOND
