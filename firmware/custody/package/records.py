"""The files of a package that programs read: case, hands it went through, gaps, proofs, and the list of everything.

Knows:  a proven bundle, its case, where each chunk went.
Never:  a name of a person, a private half; a proof that was not judged.
Leaves: canonical JSON and CSV.
Clauses: 7.2(1)2, 7.3(1)2 (every hand), 7.3(1)3 (each chunk accounted for).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from firmware.custody.bundle import index
from firmware.custody.bundle.archive import refused
from firmware.custody.bundle.check import CheckedBundle
from firmware.custody.desk.film import FilmPart
from firmware.custody.desk.gaps import Gap, iso_japan
from firmware.custody.desk.opening import Opened
from firmware.custody.package.facts import CaseFacts, Step
from firmware.custody.package.saying import BASES, BODIES, GAPS, INSTRUMENTS, STEPS, words
from firmware.ground.clock import NS_PER_MINUTE, iso_utc, utc_ns_of

FORMAT: Final = "smartpole-package/1"
_TICKS_A_SECOND: Final = 90_000
_HAND: Final = ("number", "utc", "jst", "what", "what_ja", "who", "medium", "sha256", "ledger_line")


def encoded(value: object) -> bytes:
    """Return a JSON file: in the order given, readable, a newline at the end."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def case_record(facts: CaseFacts) -> bytes:
    """Return ``case.json``: the case's own fields, and their words."""
    spoken = {
        "instrument": words(INSTRUMENTS, facts.document.instrument),
        "basis": words(BASES, facts.basis),
        "recipient": words(BODIES, facts.recipient.kind),
    }
    return encoded(
        {**msgspec.to_builtins(facts), "words": {name: {"ja": w[0], "en": w[1]} for name, w in spoken.items()}}
    )


def custody_record(steps: Sequence[Step]) -> bytes:
    """Return ``custody.csv``: every hand in order; a mark first, so that office programs read UTF-8."""
    rows = list[dict[str, str | int]]()
    for number, step in enumerate(steps, 1):
        ja, en = words(STEPS, step.what)
        values = (number, step.utc, _japan(step.utc), en, ja, step.by, step.medium, step.sha256 or "")
        line = "" if step.ledger_line is None else step.ledger_line
        rows.append(dict(zip(_HAND, (*values, line), strict=True)))
    return _table(_HAND, rows)


def gap_records(gaps: Sequence[Gap]) -> tuple[bytes, bytes]:
    """Return ``gaps.csv`` and ``gaps.json``, which say the same."""
    rows = list[dict[str, str | int | float]]()
    for gap in gaps:
        ja, en = words(GAPS, gap.reason)
        exact = {"from_utc_ns": str(gap.from_utc_ns), "until_utc_ns": str(gap.until_utc_ns)}
        rows.append({**gap.row(), "reason_ja": ja, "reason_en": en, **exact})
    columns = (*Gap(0, 0, "").row(), "reason_ja", "reason_en", "from_utc_ns", "until_utc_ns")
    return _table(columns, rows), encoded(rows)


def proof_records(checked: CheckedBundle) -> tuple[str, bytes]:
    """Return ``checkpoint.txt`` and ``proofs.json``: all lines under one signed head. Raises :class:`CaseError`."""
    bundle_path, checkpoint = _proof(checked, index.PROOF)
    minutes = list[dict[str, Any]]()
    for epoch in sorted(checked.manifests):
        path, other = _proof(checked, index.of_minute(epoch, "ledger.tlog-proof"))
        if other != checkpoint:
            raise refused("E-CASE-CHANGED", f"minute {epoch} is proven by another checkpoint", checked.where)
        manifest, line = (
            checked.read(index.of_minute(epoch, name)).decode() for name in ("manifest.json", "ledger.line")
        )
        minutes.append({"manifest": manifest, "line": line, "path": path})
    bundle = {
        "index": checked.index_bytes.decode(),
        "note": checked.note,
        "line": checked.read(index.LINE).decode(),
        "path": bundle_path,
    }
    return checkpoint, encoded({"bundle": bundle, "case": _case(checked, checkpoint), "minutes": minutes})


def _case(checked: CheckedBundle, checkpoint: str) -> dict[str, Any]:
    """Return the dossier and the acts that led to it, each with its signatures and its line's proof."""
    acts = list[dict[str, Any]]()
    for paper in checked.papers:
        path, other = _proof(checked, index.of_act(int(paper.line.fields["number"]), "tlog-proof"))
        if other != checkpoint:
            raise refused("E-CASE-CHANGED", f"line n={paper.line.index} has another checkpoint", checked.where)
        signatures = {account: signed.decode() for account, signed in paper.signatures.items()}
        line = paper.line.raw.decode()
        acts.append({"act": paper.act.decode(), "signatures": signatures, "line": line, "path": path})
    return {"dossier": checked.read(index.DOSSIER).decode(), "acts": acts}


def chunk_records(opened: Opened, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return every sealed chunk and where its pictures are; ``names``: a film's name in the package by its old one."""
    damaged = {(chunk.epoch, chunk.sequence): chunk.why for chunk in opened.checked.index.damaged}
    found = list[dict[str, Any]]()
    for epoch, manifest in sorted(opened.checked.manifests.items()):
        for chunk in manifest.chunks:
            key = (epoch, chunk.sequence)
            entry: dict[str, Any] = {
                "epoch": epoch,
                "sequence": chunk.sequence,
                "ciphertext_sha256": chunk.sha256,
                "ciphertext_bytes": chunk.ciphertext_bytes,
            }
            if key in opened.placed:
                placed = opened.placed[key]
                entry |= {
                    "plaintext_sha256": placed.plain_sha256,
                    "film": names[placed.added.part],
                    "first_frame": placed.added.first_frame,
                    "frames": placed.added.frames,
                    "frames_sha256": placed.added.frames_sha256,
                    "moved_90k": placed.added.moved_90k,
                }
            why = damaged.get(key) or opened.unreadable.get(key)
            found.append(entry | ({"why": why} if why else {}))
    return found


def film_records(films: Mapping[str, FilmPart], codecs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what ``manifest.json`` says of each film."""
    return [
        {
            "file": name,
            "begin_utc_ns": str(part.begin_utc_ns),
            "begin_jst": iso_japan(part.begin_utc_ns),
            "seconds": round(part.duration_90k / _TICKS_A_SECOND, 3),
            "frames": part.frames,
            "codec": codecs[name],
        }
        for name, part in films.items()
    ]


def span_record(opened: Opened) -> dict[str, Any]:
    """Return the minutes that were asked for, the end not included."""
    found = opened.checked.index
    begin, end = found.first_epoch * NS_PER_MINUTE, (found.last_epoch + 1) * NS_PER_MINUTE
    return {
        "first_epoch": found.first_epoch,
        "last_epoch": found.last_epoch,
        "from_utc": iso_utc(begin),
        "until_utc": iso_utc(end),
        "from_jst": iso_japan(begin),
        "until_jst": iso_japan(end),
        "minutes_here": len(found.epochs),
    }


def _proof(checked: CheckedBundle, name: str) -> tuple[list[str], str]:
    head, _, signed = checked.read(name).decode().partition("\n\n")
    return head.split("\n")[2:], signed


def _japan(utc: str) -> str:
    return iso_japan(utc_ns_of(utc))


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")
