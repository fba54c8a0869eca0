"""Is a bundle what its pole made? Judged without any private half.

Knows:  one bundle, the pole's public key.
Never:  a decrypted byte; a byte of the bundle trusted before its hash and signature were judged.
Leaves: the bundle's index, manifests, dossier and acts, proven; or a refusal that names the member.
Clauses: 7.3(1)3 (carried whole and unchanged, or noticed), 7.2(1)2 (made for that document, recorded before it left).
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from firmware.custody.bundle import index
from firmware.custody.bundle.archive import Reader, refused
from firmware.custody.bundle.index import Index
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.office import dossier as dossiers
from firmware.custody.office.case_papers import Paper
from firmware.custody.office.dossier import Dossier, document_hash
from firmware.footage import manifest as manifests
from firmware.footage.manifest import ChunkEntry, Manifest
from firmware.footage.nesting import PAIRS, WHOLE
from firmware.ground import ledger_lines, note
from firmware.ground.errors import LedgerError

_MOST_SMALL_BYTES: Final = 256 * 1024
_OF_A_MINUTE: Final = ("manifest.json", "ledger.line", "ledger.tlog-proof")


class CheckedBundle:
    """A bundle whose signature, ledger proofs and manifests hold; members are judged by their hash as they are read.

    ``ledger_size`` is the number of lines when it was made, ``manifests`` those of its minutes, ``papers`` the acts
    that led to it, each shown by the ledger (whose signatures stand under them is judged by ``desk.approvals``);
    ``index_bytes`` and ``note`` are the index as it was signed, and its signature.
    """

    def __init__(self, reader: Reader, expected_key: PoleKey | None) -> None:
        """Judge everything but chunks and identities. Raises :class:`CaseError` or :class:`LedgerError`.

        Without ``expected_key`` the bundle's own key is taken: then a person must compare its fingerprint.
        """
        self._reader = reader
        self.where: Final = reader.where
        self.key: Final = _pole_key(reader, expected_key)
        self.index_bytes, self.note = _signed_index(reader, self.key)
        self.index: Final = _decoded_index(self.index_bytes, self.where)
        self._listed = {member.name: member.sha256 for member in self.index.members}
        present = reader.names - {index.INDEX, index.NOTE}
        if present != set(self._listed) or len(self._listed) != len(self.index.members):
            odd = sorted(present ^ set(self._listed))
            raise refused(
                "E-CASE-MISSING", f"{odd[0] if odd else 'a member'} is listed or present, not both", self.where
            )
        self.read(index.POLE_KEY)  # used above already; now its very bytes are judged
        self.ledger_size: Final = self._prove_bundle()
        self.dossier: Final = self._dossier()
        self.papers: Final = tuple(self._prove_act(number) for number in self._act_numbers())
        self.manifests: Final = {epoch: self._prove_minute(epoch) for epoch in self.index.epochs}
        self._compare_members()

    def read(self, name: str, most_bytes: int = _MOST_SMALL_BYTES) -> bytes:
        """Return a member's bytes once they have the signed hash. Raises :class:`CaseError`."""
        content = self._reader.read(name, most_bytes)
        if hashlib.sha256(content).hexdigest() != self._listed.get(name):
            raise refused("E-CASE-CHANGED", f"{name} was changed on the way", self.where)
        return content

    def pairs(self, epoch: int) -> tuple[str, ...]:
        """Return for which pairs of three officers the minute's identity is here; ``("",)``: for two groups."""
        three = any(index.of_minute(epoch, index.identity_name(pair)) in self._listed for pair in PAIRS)
        return PAIRS if three else (WHOLE,)

    def _text(self, name: str) -> str:
        return _decoded(self.read(name), name, self.where)

    def _prove_bundle(self) -> int:
        """Judge the ledger's line about this bundle; return the ledger's size then."""
        found, raw = self.index, self.read(index.LINE)
        number, checkpoint = note.check_proof(
            self._text(index.PROOF), raw, [self.key], where=f"{self.where}: {index.PROOF}"
        )
        head = note.parse_checkpoint(self._text(index.CHECKPOINT), where=f"{self.where}: {index.CHECKPOINT}")
        line = ledger_lines.parse(raw, where=f"{self.where}: {index.LINE}")
        said = {
            "case": found.case,
            "dossier": found.dossier,
            "document": document_hash(found.document),
            "first_epoch": found.first_epoch,
            "last_epoch": found.last_epoch,
            "epochs": len(found.epochs),
            "missing_epochs": sum(run.last_epoch - run.first_epoch + 1 for run in found.missing),
        }
        if (line.event, dict(line.fields), number, head) != ("case.bundled", said, found.ledger_line, checkpoint):
            raise refused("E-CASE-CHANGED", "the ledger's line tells of another bundle than this", self.where)
        return checkpoint.size

    def _dossier(self) -> Dossier:
        """Return the dossier once it is the one that the index, and by it the ledger's line, names."""
        data, found = self.read(index.DOSSIER), self.index
        try:
            dossier = dossiers.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise refused("E-CASE-MEMBER", f"{index.DOSSIER} cannot be read by this version", self.where) from None
        told = (found.pole, found.case, found.document, found.spans, found.dossier)
        said = (dossier.pole, dossier.case, dossier.document.number, dossier.spans, dossier.sha256())
        if told != said:
            raise refused("E-CASE-CHANGED", f"{index.DOSSIER} is not the one this bundle was made for", self.where)
        approved = {epoch for span in dossier.spans for epoch in range(span.first_epoch, span.last_epoch + 1)}
        outer = (dossier.spans[0].first_epoch, dossier.spans[-1].last_epoch)
        if not set(found.epochs) <= approved or (found.first_epoch, found.last_epoch) != outer:
            raise refused("E-CASE-CHANGED", "it holds a minute that was not approved", self.where)
        return dossier

    def _act_numbers(self) -> list[int]:
        return sorted({int(name.split("/")[2].split(".")[0]) for name in self._listed if name.startswith("case/acts/")})

    def _prove_act(self, number: int) -> Paper:
        raw = self.read(index.of_act(number, "line"))
        proof = self._text(index.of_act(number, "tlog-proof"))
        where = f"{self.where}: act {number}"
        at, checkpoint = note.check_proof(proof, raw, [self.key], where=where)
        line = ledger_lines.parse(raw, where=where)
        if line.index != at or checkpoint.size != self.ledger_size or line.fields.get("number") != number:
            raise refused(
                "E-CASE-CHANGED", f"{index.of_act(number, 'line')} is not the one the ledger shows", self.where
            )
        head, tail = index.of_act(number, ""), ".sig"
        accounts = [
            name[len(head) : -len(tail)] for name in self._listed if name.startswith(head) and name.endswith(tail)
        ]
        signatures = {account: self.read(index.of_act(number, f"{account}.sig")) for account in accounts}
        return Paper(self.read(index.of_act(number, "act")), signatures, line)

    def _prove_minute(self, epoch: int) -> Manifest:
        name = index.of_minute(epoch, "manifest.json")
        data, raw = self.read(name, manifests.MOST_BYTES), self.read(index.of_minute(epoch, "ledger.line"))
        proof = self._text(index.of_minute(epoch, "ledger.tlog-proof"))
        number, checkpoint = note.check_proof(proof, raw, [self.key], where=f"{self.where}: minute {epoch}")
        line = ledger_lines.parse(raw, where=f"{self.where}: {name}")
        said = {"epoch": epoch, "manifest": hashlib.sha256(data).hexdigest()}
        try:
            manifest = manifests.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise refused("E-CASE-MEMBER", f"{name} cannot be read by this version", self.where) from None
        proven = (line.event, line.index, dict(line.fields)) == ("minute.sealed", number, said)
        if not proven or checkpoint.size != self.ledger_size:
            raise refused("E-CASE-CHANGED", f"{name} is not the one the ledger tells of", self.where)
        cameras = {span.camera for span in self.dossier.spans if span.first_epoch <= epoch <= span.last_epoch}
        if (manifest.epoch, manifest.origin.pole) != (epoch, self.index.pole) or manifest.origin.camera not in cameras:
            raise refused("E-CASE-CHANGED", f"{name} is another minute's, pole's or camera's", self.where)
        return manifest

    def _compare_members(self) -> None:
        """Every chunk of every manifest is there with its hash, or signed for as damaged on the pole; nothing else."""
        damaged = {(chunk.epoch, chunk.sequence): chunk.why for chunk in self.index.damaged}
        expected = {index.LINE, index.PROOF, index.CHECKPOINT, index.POLE_KEY, index.DOSSIER}
        for paper in self.papers:
            kinds = ["act", "line", "tlog-proof", *(f"{account}.sig" for account in paper.signatures)]
            expected |= {index.of_act(int(paper.line.fields["number"]), kind) for kind in kinds}
        for epoch, manifest in self.manifests.items():
            expected |= {index.of_minute(epoch, what) for what in _OF_A_MINUTE}
            expected |= {index.of_minute(epoch, index.identity_name(pair)) for pair in self.pairs(epoch)}
            for chunk in manifest.chunks:
                name, why = chunk_name(epoch, chunk), damaged.get((epoch, chunk.sequence))
                if why != "missing":
                    expected.add(name)
                if why is None and self._listed.get(name) != chunk.sha256:
                    raise refused("E-CASE-CHANGED", f"{name} has not the hash of its manifest", self.where)
        if expected != set(self._listed):
            odd = sorted(expected ^ set(self._listed))[0]
            raise refused("E-CASE-MISSING", f"{odd} does not fit the bundle's minutes", self.where)


def chunk_name(epoch: int, chunk: ChunkEntry) -> str:
    """Return the member's name of a chunk."""
    return index.of_minute(epoch, f"{chunk.sequence}.age")


def _pole_key(reader: Reader, expected: PoleKey | None) -> PoleKey:
    where = f"{reader.where}: {index.POLE_KEY}"
    key = PoleKey.parse(
        _decoded(reader.read(index.POLE_KEY, _MOST_SMALL_BYTES), index.POLE_KEY, reader.where), where=where
    )
    if expected is not None and expected.text() != key.text():
        raise LedgerError(
            "E-LEDGER-KEY", "another key than the one you gave has signed this bundle", where=where,
            todo="compare the fingerprints of both keys; ask whoever looks after the pole", clause="7.3(1)3",
        )  # fmt: skip
    return key


def _signed_index(reader: Reader, key: PoleKey) -> tuple[bytes, str]:
    encoded = reader.read(index.INDEX, index.MOST_INDEX_BYTES)
    signed = _decoded(reader.read(index.NOTE, _MOST_SMALL_BYTES), index.NOTE, reader.where)
    if note.open_note(signed, [key], where=f"{reader.where}: {index.NOTE}") != index.note_text(key.name, encoded):
        raise refused("E-CASE-CHANGED", f"{index.INDEX} is not the one that was signed", reader.where)
    return encoded, signed


def _decoded_index(encoded: bytes, where: str) -> Index:
    try:
        return index.decode(encoded)
    except (msgspec.DecodeError, RecursionError):
        raise refused("E-CASE-MEMBER", f"{index.INDEX} cannot be read by this version", where) from None


def _decoded(content: bytes, name: str, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise refused("E-CASE-CHANGED", f"{name} is no text", where) from None
