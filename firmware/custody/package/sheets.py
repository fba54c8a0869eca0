"""The papers that go with a package: hand-over sheet (提供票), receipt (受領書), what to read first.

Knows:  the facts of one package and its hashes.
Never:  a person's name: accounts are codes, and signatures are blanks.
Leaves: HTML for A4 without anything to fetch, plain text.
Clauses: 7.2(1)2 (the document), 7.3(1)2 (to whom), 7.3(1)3 (hashes on paper, which no file can change).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Final

import segno
from markupsafe import Markup

from firmware.custody.desk.film import FilmPart
from firmware.custody.desk.gaps import Gap
from firmware.custody.package.facts import CaseFacts
from firmware.custody.package.saying import BASES, BODIES, GAPS, INSTRUMENTS, clock_words, words
from firmware.custody.package.times import japan_text
from firmware.custody.pages import render
from firmware.footage.manifest import Manifest
from firmware.ground.clock import NS_PER_MINUTE

GIVEN: Final = "given"
_MOST_ROWS: Final = 12
_TICKS_A_SECOND: Final = 90_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a package: films by name, gaps, manifests by epoch, asked minutes, the pole's key and ledger head."""

    pole: str
    films: Mapping[str, FilmPart]
    gaps: Sequence[Gap]
    manifests: Mapping[int, Manifest]
    first_epoch: int
    last_epoch: int
    fingerprint: str
    checkpoint: str


def given(name: str) -> str:
    """Return a file that lies beside this module, as text."""
    return resources.files("firmware.custody.package").joinpath(GIVEN, name).read_text("utf-8")


def read_me(contents: Contents, facts: CaseFacts) -> dict[str, bytes]:
    """Return what to read first, by name: with a mark and line ends that Windows' editor knows."""
    ja, en = clock_words([manifest.clock for manifest in contents.manifests.values()])
    names = {"00_はじめにお読みください.txt": "readme.ja.txt", "README.txt": "readme.en.txt"}
    return {
        name: Template(given(text))
        .substitute(case=facts.case, clock=ja, clock_en=en)
        .replace("\n", "\r\n")
        .encode("utf-8-sig")
        for name, text in names.items()
    }


def papers(contents: Contents, facts: CaseFacts, manifest_sha256: str, sealed_sha256: str = "") -> dict[str, bytes]:
    """Return 提供票 and 受領書 by name. ``sealed_sha256``: of the sealed file, on those that are printed beside it."""
    facts_told: dict[str, object] = {
        **_facts(contents, facts),
        "css": Markup(given("paper.css")),  # noqa: S704 - our own file
        "manifest": _grouped(manifest_sha256),
        "qr": Markup(code(f"smartpole-package case={facts.case} manifest-sha256={manifest_sha256}")),  # noqa: S704 - drawn here
        "films": [_film(name, part) for name, part in list(contents.films.items())[:_MOST_ROWS]],
        "films_more": max(0, len(contents.films) - _MOST_ROWS),
        "gaps": [_gap(gap) for gap in contents.gaps[:_MOST_ROWS]],
        "gaps_more": max(0, len(contents.gaps) - _MOST_ROWS),
        "sealed": _grouped(sealed_sha256),
    }
    names = {"提供票.html": "package/handover.html", "受領書.html": "package/receipt.html"}
    return {name: render(template, facts_told).encode() for name, template in names.items()}


def code(text: str) -> str:
    """Return ``text`` as a QR code, an ``svg`` element."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, nl=False, omitsize=True
    )
    return drawn.getvalue().decode()


def _facts(contents: Contents, facts: CaseFacts) -> dict[str, str]:
    ja, en = clock_words([manifest.clock for manifest in contents.manifests.values()])
    cameras = sorted({manifest.origin.camera for manifest in contents.manifests.values()})
    begin, end = contents.first_epoch * NS_PER_MINUTE, (contents.last_epoch + 1) * NS_PER_MINUTE
    return {
        "case": facts.case,
        "document": facts.document.number,
        "document_date": facts.document.date,
        "authority": facts.document.authority,
        "instrument": words(INSTRUMENTS, facts.document.instrument)[0],
        "basis": words(BASES, facts.basis)[0],
        "organisation": facts.recipient.organisation,
        "body": words(BODIES, facts.recipient.kind)[0],
        "recipient": facts.recipient.code,
        "approvals": "、".join(facts.approved_by),
        "cameras": f"{contents.pole}　{'、'.join(cameras)}",
        "span": f"{japan_text(begin)} から {japan_text(end)} まで",
        "clock": ja,
        "clock_en": en,
        "film_count": str(len(contents.films)),
        "gap_count": str(len(contents.gaps)),
        "total": f"{sum(part.duration_90k for part in contents.films.values()) / _TICKS_A_SECOND:.0f}",
        "fingerprint": contents.fingerprint,
        "checkpoint": " ".join(contents.checkpoint.split("\n")[:3]),
        "medium": next((step.medium for step in reversed(facts.steps) if step.medium), ""),
    }


def _film(name: str, part: FilmPart) -> tuple[str, str, str]:
    return name, japan_text(part.begin_utc_ns), f"{part.duration_90k / _TICKS_A_SECOND:.0f}"


def _gap(gap: Gap) -> tuple[str, str, str]:
    return japan_text(gap.from_utc_ns), japan_text(gap.until_utc_ns), words(GAPS, gap.reason)[0]


def _grouped(sha256: str) -> str:
    return " ".join(sha256[at : at + 8] for at in range(0, len(sha256), 8))
