"""What lies beside the films: gap list, report, hashes.

Knows:  the proven facts of an opened bundle.
Never:  a name, a count of people, anything seen in a picture.
Leaves: ``gaps.csv``, ``gaps.json``, ``report.json``, ``SHA256SUMS``.
Clauses: 7.2(1), 7.3(1)3 (whoever receives it can check it with standard tools).
"""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from firmware.custody.bundle.span import Span
from firmware.custody.desk.film import FilmPart
from firmware.custody.desk.gaps import Gap, iso_japan, list_gaps
from firmware.custody.desk.opening import Opened
from firmware.ground.clock import iso_utc

_TICKS_A_SECOND = 90_000


class Reporter:
    """Writes the papers of one opening; ``compared`` tells whether the pole's key was given by the officer."""

    def __init__(self, bundle: Path, *, compared: bool) -> None:
        self._bundle = bundle
        self._compared = compared
        self.facts: dict[str, Any] = {}

    def write(self, opened: Opened, folder: Path) -> None:
        """Write the four files into ``folder``, beside the films. Raises OSError."""
        gaps = list_gaps(opened.checked.index, opened.checked.manifests, opened.unreadable)
        rows = [gap.row() for gap in gaps]
        _write_csv(folder / "gaps.csv", rows)
        (folder / "gaps.json").write_text(_json(rows), "utf-8")
        self.facts = self._facts(opened, gaps)
        (folder / "report.json").write_text(_json(self.facts), "utf-8")
        sums = [f"{_hash(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
        (folder / "SHA256SUMS").write_text("".join(sums), "utf-8")

    def _facts(self, opened: Opened, gaps: list[Gap]) -> dict[str, Any]:
        checked, found = opened.checked, opened.checked.index
        spans, approvals = [Span.of(span) for span in found.spans], opened.approvals
        asked = sum(span.count for span in spans)
        return {
            "bundle": {"file": self._bundle.name, "sha256": _hash(self._bundle), "made_utc": found.made_utc},
            "case": found.case,
            "document": found.document,
            "pole": found.pole,
            "asked": [span.text() for span in spans],
            "minutes": {"asked": asked, "here": len(found.epochs), "missing": asked - len(found.epochs)},
            "approved_by": {"manager": approvals.manager, "chief": approvals.chief, "compared": approvals.compared},
            "dossier": found.dossier,
            "to": checked.dossier.to.recipient,
            "ledger": {"origin": checked.key.name, "lines": checked.ledger_size, "bundle_line": found.ledger_line},
            "pole_key": {
                "text": checked.key.text(),
                "fingerprint": checked.key.fingerprint(),
                "compared": self._compared,
            },
            "films": [_film(part) for part in opened.parts],
            "chunks": opened.chunks,
            "damaged_on_pole": [f"{chunk.epoch}-{chunk.sequence} {chunk.why}" for chunk in found.damaged],
            "unreadable": [f"{epoch}-{sequence} {code}" for (epoch, sequence), code in opened.unreadable.items()],
            "moved_90k": {f"{epoch}-{sequence}": moved for (epoch, sequence), moved in opened.moved.items()},
            "gaps": len(gaps),
            "clock": _clock(opened),
            "made_by": _made_by(opened),
        }


def _film(part: FilmPart) -> dict[str, Any]:
    return {
        "file": part.path.name,
        "sha256": _hash(part.path),
        "begin_utc": iso_utc(part.begin_utc_ns),
        "begin_jst": iso_japan(part.begin_utc_ns),
        "seconds": round(part.duration_90k / _TICKS_A_SECOND, 3),
        "frames": part.frames,
    }


def _clock(opened: Opened) -> dict[str, Any]:
    """How good the pole's clock was over these minutes; ``line_ahead_ms`` is its line of ages less its UTC."""
    clocks = [manifest.clock for manifest in opened.checked.manifests.values()]
    unknown = any(clock.uncertainty_ms < 0 for clock in clocks)
    return {
        "proven": all(clock.proven for clock in clocks),
        "sources": sorted({clock.source for clock in clocks}),
        "worst_uncertainty_ms": None if unknown else max((clock.uncertainty_ms for clock in clocks), default=None),
        "line_ahead_ms": sorted({clock.line_ahead_ms for clock in clocks}),
    }


def _made_by(opened: Opened) -> dict[str, Any]:
    origins = [manifest.origin for manifest in opened.checked.manifests.values()]
    return {
        "software": sorted({origin.software for origin in origins}),
        "config_sha256": sorted({origin.config_sha256 for origin in origins}),
        "keystore": sorted({origin.keystore for origin in origins}),
        "recovered_minutes": sum(manifest.recovered for manifest in opened.checked.manifests.values()),
    }


def _write_csv(path: Path, rows: list[dict[str, str | float]]) -> None:
    columns = list(Gap(0, 0, "").row())
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # the mark makes office programs read UTF-8
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
