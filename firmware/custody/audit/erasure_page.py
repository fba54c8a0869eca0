"""The certificate of erasure as a page to print, sign and file.

Knows:  a certificate, the pole's key, the hash of the JSON file it belongs to.
Never:  a fact that is not in the certificate.
Leaves: one HTML page a language.
Clauses: 7.1(3), 7.3(1)3.
"""

from __future__ import annotations

from firmware.custody.audit.certificate import Certificate
from firmware.custody.audit.erasure_words import WORDS
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.languages import Language
from firmware.custody.pages import render
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc, utc_ns_of

_JAPAN_NS = 9 * 3600 * NS_PER_SECOND


def erasure_page(certificate: Certificate, key: PoleKey, sha256: str, language: Language) -> str:
    """Return the page; ``sha256`` (hex) is of the JSON file."""
    keystores = sorted({run.keystore for run in certificate.erased}, reverse=True)
    facts: dict[str, object] = {
        "language": language.value,
        "words": WORDS[language],
        "made": certificate,
        "span": _span(certificate.first_epoch, certificate.last_epoch),
        "issued": _japan(utc_ns_of(certificate.issued_utc)),
        "erased": [
            {"minutes": _span(run.first_epoch, run.last_epoch), "when": _japan(utc_ns_of(run.utc)), "run": run}
            for run in certificate.erased
        ],
        "lost": [{"minutes": _span(run.first_epoch, run.last_epoch), "run": run} for run in certificate.lost],
        "exported": [{"minutes": _span(run.first_epoch, run.last_epoch), "run": run} for run in certificate.exported],
        "sentences": [WORDS[language][keystore] for keystore in keystores],
        "lost_minutes": sum(run.recorded for run in certificate.lost),
        "fingerprint": key.fingerprint(),
        "sha256": sha256,
    }
    return render("audit/erasure.html", facts)


def _span(first: int, last: int) -> str:
    return f"{_japan(first * NS_PER_MINUTE)} – {_japan((last + 1) * NS_PER_MINUTE)}"


def _japan(utc_ns: int) -> str:
    return iso_utc(utc_ns + _JAPAN_NS).removesuffix("Z").replace("T", " ")
