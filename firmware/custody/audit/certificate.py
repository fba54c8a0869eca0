"""A certificate of erasure: which minutes were made unreadable, when, how, and by which lines of the ledger.

Knows:  the ledger's lines, the pole's note key.
Never:  an erasure certified that no line tells of, a weaker method called by a stronger name, silence about minutes
        that were handed out before they were erased.
Leaves: one JSON file that proves itself to whoever has the pole's public key.
Clauses: 7.1(3) (336 hours), 7.3(1)3 (erasing accounted for).

The words are those of NIST SP 800-88 Revision 2: the technique is *cryptographic erase*. The method it comes to is
*purge* where the secret lay in a TPM, and *clear* where it lay in a file, of which a worn flash memory may keep a copy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from firmware.custody.bundle.span import Span
from firmware.custody.keys.pole_key import PoleKey
from firmware.ground import ledger_lines, merkle, note
from firmware.ground.clock import MinuteNumber, iso_utc
from firmware.ground.errors import CaseError, LedgerError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_lines import Line
from firmware.ground.note import Checkpoint

MOST_MINUTES: Final = 31 * 1440
_MOST_BYTES: Final = 64 * 1024 * 1024

Epoch = Annotated[int, Meta(ge=0, le=10**12)]
Count = Annotated[int, Meta(ge=0)]
KeystoreName = Literal["tpm2", "software"]
METHODS: Final[Mapping[KeystoreName, Literal["purge", "clear"]]] = {"tpm2": "purge", "software": "clear"}


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    first_epoch: Epoch
    last_epoch: Epoch
    ledger_line: Count
    utc: str


class ErasedRun(_Said, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes whose keys one rewrite destroyed; ``recorded`` of them held footage. ``early``: to make room."""

    recorded: Count
    generation: Count
    keystore: KeystoreName
    method: Literal["purge", "clear"]
    early: bool


class LostRun(_Said, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes whose keys were lost: unreadable too, but nobody erased them."""

    recorded: Count
    reason: Literal["table_damaged", "secret_missing"]


class Export(_Said, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes handed out before: a lawful copy with keys of its own, which no erasure on the pole reaches."""


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line of the ledger as it stands there, and its inclusion proof (base64 hashes, leaf side first)."""

    line: str
    hashes: tuple[str, ...]


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is certified. Minutes ``first_epoch`` to ``last_epoch``, both included; ``live`` ones are not erased."""

    form: Literal["smartpole erasure certificate 1"] = "smartpole erasure certificate 1"
    standard: Literal["NIST SP 800-88 Rev. 2"] = "NIST SP 800-88 Rev. 2"
    technique: Literal["cryptographic erase"] = "cryptographic erase"
    pole: Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
    origin: str
    issued_utc: str
    first_epoch: Epoch
    last_epoch: Epoch
    recorded: Count
    live: Count
    erased: tuple[ErasedRun, ...]
    lost: tuple[LostRun, ...]
    exported: tuple[Export, ...]
    checkpoint: str
    proofs: tuple[Proof, ...]

    @property
    def erased_minutes(self) -> int:
        """How many recorded minutes are certified as erased."""
        return sum(run.recorded for run in self.erased)


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file: the certificate's own bytes, the pole's note over their hash, the key to compare."""

    certificate: msgspec.Raw
    note: str
    pole_key: str


def certify(ledger: Ledger, pole: str, span: Span, checkpoint: str, issued_utc_ns: int) -> Certificate:
    """Return the certificate of ``span`` from a ledger whose ``checkpoint`` was just signed. Blocks.

    Raises :class:`CaseError` ``E-CASE-NOT-ERASED`` where none of these minutes was recorded and erased.
    """
    sealed = {int(line.fields["epoch"]): line.index for line in ledger.lines("minute.sealed", span.minutes)}
    ending = [line for event in ("epochs.erased", "epochs.lost") for line in _over(ledger, event, span)]
    ended_by = dict[int, Line]()
    for line in sorted(ending, key=lambda line: line.index):
        for epoch in _run(line, span):
            if epoch in sealed and line.index > sealed[epoch]:
                ended_by.setdefault(epoch, line)
    recorded = dict[int, int]()
    for line in ended_by.values():
        recorded[line.index] = recorded.get(line.index, 0) + 1
    told = {line.index: line for line in ended_by.values()}
    early = {_key(line): line for line in _over(ledger, "epochs.dropped_early", span)}
    erased = [line for line in told.values() if line.event == "epochs.erased"]
    lost = [line for line in told.values() if line.event == "epochs.lost"]
    if not erased:
        raise _not_erased(span, len(sealed))
    abandoned = {int(line.fields["bundled_line"]) for line in ledger.lines("case.abandoned")}
    exported = [line for line in _over(ledger, "case.bundled", span) if line.index not in abandoned]
    room = [early[_key(line)] for line in erased if _key(line) in early]
    return Certificate(
        pole=pole,
        origin=ledger.origin,
        issued_utc=iso_utc(issued_utc_ns),
        first_epoch=span.first,
        last_epoch=span.last,
        recorded=len(sealed),
        live=len(sealed) - len(ended_by),
        erased=tuple(_erased(line, span, recorded[line.index], early=_key(line) in early) for line in erased),
        lost=tuple(_lost(line, span, recorded[line.index]) for line in lost),
        exported=tuple(Export(**_said(line, span)) for line in exported),
        checkpoint=checkpoint,
        proofs=tuple(_prove(ledger, [*erased, *lost, *exported, *room], checkpoint)),
    )


def encode(certificate: Certificate) -> bytes:
    """Return the certificate's canonical bytes, which are signed."""
    return msgspec.json.encode(certificate, order="sorted")


def note_text(origin: str, encoded: bytes) -> str:
    """Return what the pole signs about a certificate: three lines that no checkpoint can be mistaken for."""
    digest = base64.b64encode(hashlib.sha256(encoded).digest()).decode("ascii")
    return f"{origin}\nerasure sha256\n{digest}\n"


def paper(encoded: bytes, signed: str, pole_key: str) -> bytes:
    """Return the file."""
    made = Paper(certificate=msgspec.Raw(encoded), note=signed, pole_key=pole_key)
    return msgspec.json.encode(made, order="sorted") + b"\n"


def check(data: bytes, expected: PoleKey | None, *, where: str) -> tuple[Certificate, PoleKey]:
    """Return the certificate once its signature, its proofs and what it says of each line hold.

    Without ``expected`` the file's own key is taken: then a person must compare its fingerprint.
    Raises :class:`LedgerError` (signature, proof, another key), :class:`CaseError` (another thing, or altered).
    """
    try:
        found = msgspec.json.decode(data[:_MOST_BYTES], type=Paper)
        encoded = bytes(found.certificate)
        certificate = msgspec.json.decode(encoded, type=Certificate)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise _altered("this is no certificate of erasure that this version can read", where) from None
    key = PoleKey.parse(found.pole_key, where=where)
    if expected is not None and expected.text() != key.text():
        raise LedgerError(
            "E-LEDGER-KEY", "another key than the one you gave has signed this certificate", where=where,
            todo="compare the fingerprints of both keys; ask whoever looks after the pole", clause="7.3(1)3",
        )  # fmt: skip
    if note.open_note(found.note, [key], where=where) != note_text(key.name, encoded) or certificate.origin != key.name:
        raise _altered("the pole has signed another certificate than this", where)
    text = note.open_note(certificate.checkpoint, [key], where=where)
    head = note.parse_checkpoint(text, where=where)
    lines = {line.index: line for line in (_proven(proof, head, where) for proof in certificate.proofs)}
    if head.origin != key.name or not all(_fits(run, lines, certificate) for run in _runs(certificate)):
        raise _altered("what it says does not fit the ledger's lines that it proves", where)
    return certificate, key


def _runs(certificate: Certificate) -> Iterable[ErasedRun | LostRun | Export]:
    return (*certificate.erased, *certificate.lost, *certificate.exported)


def _fits(run: ErasedRun | LostRun | Export, lines: Mapping[int, Line], certificate: Certificate) -> bool:
    """Tell whether a run says what its line says, within the certificate's span."""
    line = lines.get(run.ledger_line)
    if line is None:
        return False
    span = Span(MinuteNumber(certificate.first_epoch), MinuteNumber(certificate.last_epoch))
    match run:
        case ErasedRun():
            early = any(other.event == "epochs.dropped_early" and _key(other) == _key(line) for other in lines.values())
            return line.event == "epochs.erased" and run == _erased(line, span, run.recorded, early=early)
        case LostRun():
            return line.event == "epochs.lost" and run == _lost(line, span, run.recorded)
        case Export():
            return line.event == "case.bundled" and run == Export(**_said(line, span))


def _erased(line: Line, span: Span, recorded: int, *, early: bool) -> ErasedRun:
    keystore: KeystoreName = "tpm2" if line.fields["keystore"] == "tpm2" else "software"
    return ErasedRun(
        **_said(line, span),
        recorded=recorded,
        generation=int(line.fields["generation"]),
        keystore=keystore,
        method=METHODS[keystore],
        early=early,
    )


def _lost(line: Line, span: Span, recorded: int) -> LostRun:
    damaged = line.fields["reason"] == "table_damaged"
    reason: Literal["table_damaged", "secret_missing"] = "table_damaged" if damaged else "secret_missing"
    return LostRun(**_said(line, span), recorded=recorded, reason=reason)


def _said(line: Line, span: Span) -> dict[str, Any]:
    run = _run(line, span)
    return {"first_epoch": run.start, "last_epoch": run.stop - 1, "ledger_line": line.index, "utc": line.utc}


def _over(ledger: Ledger, event: str, span: Span) -> Iterable[Line]:
    return [line for line in ledger.lines(event) if _run(line, span)]


def _run(line: Line, span: Span) -> range:
    first, last = int(line.fields["first_epoch"]), int(line.fields["last_epoch"])
    return range(max(first, span.first), min(last, span.last) + 1)


def _key(line: Line) -> tuple[int, int]:
    return int(line.fields["first_epoch"]), int(line.fields["last_epoch"])


def _prove(ledger: Ledger, lines: Iterable[Line], checkpoint: str) -> Iterable[Proof]:
    size = note.parse_checkpoint(checkpoint, where="checkpoint").size
    by_index = {line.index: line for line in lines}
    paths = ledger.inclusion(by_index, size)
    for index, line in sorted(by_index.items()):
        hashes = tuple(base64.b64encode(one).decode("ascii") for one in paths[index])
        yield Proof(line=line.raw.decode("ascii"), hashes=hashes)


def _proven(proof: Proof, head: Checkpoint, where: str) -> Line:
    raw = proof.line.encode()
    line = ledger_lines.parse(raw, where=where)
    try:
        hashes = [base64.b64decode(text, validate=True) for text in proof.hashes]
    except ValueError:
        hashes = []
    if not merkle.included(merkle.leaf_hash(raw), line.index, head.size, hashes, head.root):
        raise LedgerError(
            "E-LEDGER-PROOF", f"line n={line.index} is not proven to stand in the signed ledger", where=where,
            todo="treat the certificate as altered; ask the pole for it again", clause="7.3(1)3",
        )  # fmt: skip
    return line


def _not_erased(span: Span, recorded: int) -> CaseError:
    what = "nothing was recorded in them" if not recorded else f"{recorded} recorded minutes are still kept, or lost"
    return CaseError(
        "E-CASE-NOT-ERASED",
        f"none of these minutes was erased: {what}",
        where=span.text(),
        todo="a minute is erased 335 to 336 hours after it was filmed, a held one later",
        clause="7.1(3)",
    )


def _altered(what: str, where: str) -> CaseError:
    return CaseError(
        "E-CASE-CERTIFICATE", what, where=where, todo="treat it as altered; ask the pole for it again", clause="7.3(1)3"
    )
