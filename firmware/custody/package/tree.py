"""The tree of a package (requirements 4.7): films with their boxes and time tracks, records, papers, hashes.

Knows:  one opened bundle, its case, when and under which account the package is made.
Never:  a frame encoded again; a file that stands in no list of hashes.
Leaves: a folder that plays and is judged without anything of ours.
Clauses: 7.2(1) (as recorded), 7.2(2), 7.3(1)2, 7.3(1)3.

    1. films: boxes in front, a name in Japanese time, a subtitle track     2. records: case, hands, time, gaps, proofs
    3. what to read first, verify.html, verify.py                           4. manifest.json: every hash so far
    5. papers, with the hash of manifest.json                               6. SHA256SUMS, and a signature over it
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.custody.desk.film import FilmPart
from firmware.custody.desk.gaps import Gap, iso_japan, list_gaps
from firmware.custody.desk.opening import Opened
from firmware.custody.package import boxes, records, sheets, times
from firmware.custody.package.facts import CaseFacts, Step
from firmware.custody.package.receiver import standalone
from firmware.ground.clock import NS_PER_MINUTE, iso_utc

PART_90K: Final = 60 * 60 * 90_000
"""No film lasts longer than this (requirements 3.2)."""

UNIT: Final = "smart-pole custodian's desk"
_PIECE_BYTES: Final = 1 << 20

Sign = Callable[[bytes], bytes]
"""Signs SHA256SUMS with an officer's SSH key, in the form of ``ssh-keygen -Y sign -n package.smartpole``."""


@dataclass(frozen=True, slots=True)
class Making:
    """When, under which account, from which bundle (its SHA-256) and to what recipient a package is made."""

    utc_ns: int
    operator: str
    bundle_sha256: str
    sealed_to: str
    sign: Sign | None = None


def folder_name(facts: CaseFacts) -> str:
    """Return the tree's name, for instance ``case-2026-0012_sp03_20261121T220000+0900``."""
    first_epoch = min(span.first_epoch for span in facts.spans)
    begin = iso_japan(first_epoch * NS_PER_MINUTE).replace("-", "").replace(":", "")
    return f"case-{facts.case}_{facts.pole}_{begin}"


class TreeWriter:
    """Writes one package's tree; afterwards ``contents`` and ``manifest_sha256`` are what its papers need."""

    def __init__(self, facts: CaseFacts, making: Making) -> None:
        self._facts = facts
        self._making = making
        self._hashes = dict[str, tuple[int, str]]()
        self.contents: sheets.Contents | None = None
        self.manifest_sha256 = ""

    def write(self, opened: Opened, folder: Path) -> None:
        """Turn a folder of films into the tree. Raises OSError, :class:`StoreError`, :class:`CaseError`."""
        checked, found = opened.checked, opened.checked.index
        gaps = list_gaps(found, checked.manifests, opened.unreadable)
        names = _film_names(opened)
        films = {names[part.path.name]: part for part in opened.parts}
        codecs = self._write_films(opened, folder, films, names, gaps)  # 1
        checkpoint, proofs = records.proof_records(checked)
        gaps_csv, gaps_json = records.gap_records(gaps)
        contents = sheets.Contents(
            found.pole, films, gaps, checked.manifests, found.first_epoch, found.last_epoch,
            checked.key.fingerprint(), checkpoint,
        )  # fmt: skip
        written = {
            "case.json": records.case_record(self._facts),
            "custody.csv": records.custody_record(self._steps(opened)),
            "time.json": records.encoded(times.time_facts(films, checked.manifests)),
            "gaps.csv": gaps_csv,
            "gaps.json": gaps_json,
            "proofs.json": proofs,
            "checkpoint.txt": checkpoint.encode(),
            "pole.vkey": checked.key.text().encode() + b"\n",
            **sheets.read_me(contents, self._facts),
            "verify.html": sheets.given("verify.html").encode(),
            "verify.py": standalone.program().encode(),
        }  # 2, 3
        for name, content in written.items():
            self._write(folder, name, content)
        manifest = self._manifest(opened, films, codecs, names, len(gaps))
        self._write(folder, "manifest.json", manifest)  # 4
        self.manifest_sha256 = hashlib.sha256(manifest).hexdigest()
        for name, content in sheets.papers(contents, self._facts, self.manifest_sha256).items():
            self._write(folder, name, content)  # 5
        self._write_sums(folder)  # 6
        self.contents = contents

    def _write_films(
        self, opened: Opened, folder: Path, films: Mapping[str, FilmPart], names: Mapping[str, str], gaps: list[Gap]
    ) -> dict[str, str]:
        (folder / "video").mkdir()
        clocks = {epoch: manifest.clock for epoch, manifest in opened.checked.manifests.items()}
        codecs = dict[str, str]()
        for name, part in films.items():
            pole, camera = Path(name).name.split("_")[:2]
            export = boxes.Export(UNIT, self._making.operator, self._making.utc_ns, f"{pole} {camera}", camera)
            codecs[name] = self._write_film(folder, name, part, export)
            placed = [chunk for chunk in opened.placed.values() if names[chunk.added.part] == name]
            track = times.subtitles(part, placed, clocks, gaps)
            self._write(folder, name.removesuffix(".mp4") + ".srt", track.encode("utf-8-sig"))
        return codecs

    def _write_film(self, folder: Path, name: str, part: FilmPart, export: boxes.Export) -> str:
        """Write the film with its boxes and remove the one without; return its codec."""
        digest, length = hashlib.sha256(), 0
        with part.path.open("rb") as film, (folder / name).open("wb") as out:
            total = part.path.stat().st_size
            head, rest = boxes.with_export(film, total, boxes.export_meta(export, part.begin_utc_ns))
            film.seek(rest)
            piece = head
            while piece:
                out.write(piece)
                digest.update(piece)
                length += len(piece)
                piece = film.read(_PIECE_BYTES)
        part.path.unlink()
        self._hashes[name] = (length, digest.hexdigest())
        return boxes.codec_of(head)

    def _steps(self, opened: Opened) -> list[Step]:
        """Return every hand: what the case tells, what the bundle proves, and the desk."""
        found, now = opened.checked.index, iso_utc(self._making.utc_ns)
        begin = iso_utc(found.first_epoch * NS_PER_MINUTE)
        return [
            Step(what="recorded", utc=begin, by="pole"),
            *self._facts.steps,
            Step(
                what="case.bundled", utc=found.made_utc, by="pole", sha256=self._making.bundle_sha256,
                ledger_line=found.ledger_line,
            ),
            Step(what="opened", utc=now, by=self._making.operator),
            Step(what="packaged", utc=now, by=self._making.operator),
        ]  # fmt: skip

    def _manifest(
        self,
        opened: Opened,
        films: Mapping[str, FilmPart],
        codecs: Mapping[str, str],
        names: Mapping[str, str],
        gaps: int,
    ) -> bytes:
        checked = opened.checked
        origins = [manifest.origin for manifest in checked.manifests.values()]
        return records.encoded({
            "format": records.FORMAT,
            "case": self._facts.case,
            "document": checked.index.document,
            "pole": checked.index.pole,
            "asked": records.span_record(opened),
            "made": {"utc": iso_utc(self._making.utc_ns), "by": self._making.operator},
            "sealed_to": self._making.sealed_to,
            "bundle": {"sha256": self._making.bundle_sha256, "made_utc": checked.index.made_utc},
            "pole_key": {"text": checked.key.text(), "fingerprint": checked.key.fingerprint()},
            "pole_software": sorted({origin.software for origin in origins}),
            "pole_config_sha256": sorted({origin.config_sha256 for origin in origins}),
            "pole_keystore": sorted({origin.keystore for origin in origins}),
            "films": records.film_records(films, codecs),
            "gaps": gaps,
            "files": {name: {"bytes": n, "sha256": digest} for name, (n, digest) in sorted(self._hashes.items())},
            "chunks": records.chunk_records(opened, names),
        })  # fmt: skip

    def _write(self, folder: Path, name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        self._hashes[name] = (len(content), hashlib.sha256(content).hexdigest())

    def _write_sums(self, folder: Path) -> None:
        sums = "".join(f"{digest}  {name}\n" for name, (_, digest) in sorted(self._hashes.items())).encode()
        (folder / "SHA256SUMS").write_bytes(sums)
        if self._making.sign is not None:
            (folder / "SHA256SUMS.sig").write_bytes(self._making.sign(sums))


def _film_names(opened: Opened) -> dict[str, str]:
    """Return each film's name in the package by the one it was made under; parts of a camera are numbered in order."""
    names, counted = dict[str, str](), dict[str, int]()
    for part in opened.parts:
        stem = part.path.name.rpartition("_")[0]
        counted[stem] = counted.get(stem, 0) + 1
        begin = iso_japan(part.begin_utc_ns)[:19].replace("-", "").replace(":", "")
        names[part.path.name] = f"video/{stem}_{begin}JST_part{counted[stem]:02}.mp4"
    return names
