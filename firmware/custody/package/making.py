"""A bundle and its case in, one sealed file and papers out.

Knows:  a bundle, both officers' keys, the case's recipient; the plain tree while it is sealed.
Never:  a key that the case does not name, a plain tree left on a disk that no officer named, half a package.
Leaves: one age file, papers beside it; or, only where it is asked for, the tree to look at.
Clauses: 7.2(1), 7.3(1)1 (both groups), 7.3(1)2 (the registered body's own key), 7.3(1)3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.custody.bundle import archive
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.desk.opening import MakeFilm, OfficerKeys, Opened, Prove, open_bundle
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.package import seal, sheets
from firmware.custody.package.carried import facts_of
from firmware.custody.package.facts import CaseFacts, judge
from firmware.custody.package.private import private_folder
from firmware.custody.package.tree import Making, Sign, TreeWriter, folder_name
from firmware.ground.clock import Clock
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError

_BESIDES_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """Who works at which time, with what: a film maker, the pole's key to compare, an SSH signature, a work folder."""

    clock: Clock
    operator: str
    make_film: MakeFilm
    prove: Prove
    expected_key: PoleKey | None = None
    sign: Sign | None = None
    work: Path | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """What was made: SHA-256 of the sealed file and of its manifest, films; ``words`` only where no key was known."""

    sha256: str
    manifest_sha256: str
    films: int
    gaps: int
    unreadable: int
    papers: Path | None
    words: str = ""


def write_tree(bundle: Path, keys: OfficerKeys, desk: Desk, out: Path) -> Package:
    """Write the plain tree as the new folder ``out``, to look at before it is sealed; raises as the sealed one does."""
    facts = case_of(bundle, desk)
    writer = TreeWriter(facts, _making(bundle, facts, desk))
    opened = _open(bundle, keys, desk, out, writer)
    return _made(writer, opened, "", None)


def write_package(bundle: Path, keys: OfficerKeys, desk: Desk, out: Path) -> Package:
    """Write the sealed package as ``out`` and its papers as the folder ``<out>.papers``; neither may exist.

    Raises :class:`CaseError` (``E-CASE-RECIPIENT``, ``-OUTSIDE``, ``-APPROVALS``, ``-ROOM``, ``-OUT``), KeystoreError.
    """
    facts = case_of(bundle, desk)
    papers = out.with_name(out.name + ".papers")
    for path in (out, papers):
        if path.exists():
            raise CaseError(
                "E-CASE-OUT", "cannot write: there is something of that name", where=str(path),
                todo="choose another name; nothing is overwritten", clause="7.3(1)3",
            )  # fmt: skip
    making = _making(bundle, facts, desk)
    needed = 2 * bundle.stat().st_size + _BESIDES_BYTES  # the films, and for a moment one of them twice
    with private_folder(needed, desk.work) as work:
        tree, writer = work / folder_name(facts), TreeWriter(facts, making)
        opened = _open(bundle, keys, desk, tree, writer)
        words, key, seconds = "", facts.recipient.age_recipient, making.utc_ns // 1_000_000_000
        if key is None:
            sha256, words = seal.seal_to_words(tree, out, seconds)
        else:
            sha256 = seal.seal_to_key(tree, key, out, seconds)
    _write_papers(writer, facts, sha256, papers)
    return _made(writer, opened, sha256, papers, words)


def case_of(bundle: Path, desk: Desk) -> CaseFacts:
    """Judge bundle, approvals and case before anybody is asked for a passphrase; return the case."""
    with archive.reading(bundle) as reader:
        checked = CheckedBundle(reader, desk.expected_key)
        facts = facts_of(checked, desk.prove(checked))
    for camera in sorted({manifest.origin.camera for manifest in checked.manifests.values()}):
        judge(facts, checked.index, camera, desk.clock.utc_ns())
    if facts.recipient.age_recipient is not None:
        seal.parse_recipient(facts.recipient.age_recipient)
    return facts


def _open(bundle: Path, keys: OfficerKeys, desk: Desk, out: Path, writer: TreeWriter) -> Opened:
    return open_bundle(bundle, keys, out, desk.make_film, writer.write, desk.prove, desk.expected_key)


def _making(bundle: Path, facts: CaseFacts, desk: Desk) -> Making:
    with bundle.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sealed_to = facts.recipient.age_recipient or "nine words, told by another way"
    return Making(desk.clock.utc_ns(), desk.operator, digest, sealed_to, desk.sign)


def _write_papers(writer: TreeWriter, facts: CaseFacts, sha256: str, folder: Path) -> None:
    assert writer.contents is not None  # noqa: S101 - open_bundle has called it
    folder.mkdir(mode=0o700)
    for name, content in sheets.papers(writer.contents, facts, writer.manifest_sha256, sha256).items():
        write_file(folder / name, content)


def _made(writer: TreeWriter, opened: Opened, sha256: str, papers: Path | None, words: str = "") -> Package:
    gaps = len(writer.contents.gaps) if writer.contents else 0
    return Package(sha256, writer.manifest_sha256, len(opened.parts), gaps, len(opened.unreadable), papers, words)
