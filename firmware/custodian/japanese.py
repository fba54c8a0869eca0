"""Answers in Japanese: the same facts that ``--json`` gives, each under its label.

Knows:  labels of facts, words for codes.
Never:  a fact left out because it has no label: then it stands under its own name (and a test fails).
Leaves: text.
Clauses: 0 (explained so that it is understood), 7.3(1)2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firmware.custodian.errors_ja import ERRORS_JA
from firmware.custodian.labels_ja import LABELS, WORDS
from firmware.ground.errors import PoleError


def in_japanese(facts: Mapping[str, object]) -> str:
    """Return ``facts`` as lines ``label: value``; what stands inside another fact is indented."""
    return "\n".join(_lines(facts, 0))


def refusal_in_japanese(error: PoleError) -> str:
    """Return a refusal: the sentence, then where, which clause, and the details in English."""
    sentence = ERRORS_JA.get(error.code, "実行できません。")
    clause = f"（ガイドライン {error.clause}）" if error.clause else ""
    return f"{error.code}: {sentence}{clause}\n  箇所: {error.where}\n  詳細（英語）: {error.what} -> {error.todo}"


def _lines(facts: Mapping[str, object], depth: int) -> list[str]:
    found = list[str]()
    for key, value in facts.items():
        label, indent = LABELS.get(key) or WORDS.get(key, key), "  " * depth
        if isinstance(value, Mapping):
            found += [f"{indent}{label}:", *_lines(value, depth + 1)]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            found += [f"{indent}{label}: {'なし' if not value else ''}".rstrip(), *_items(value, depth + 1)]
        else:
            found.append(f"{indent}{label}: {_word(value)}")
    return found


def _items(values: Sequence[object], depth: int) -> list[str]:
    found, indent = list[str](), "  " * depth
    for value in values:
        if isinstance(value, Mapping):
            lines = _lines(value, depth + 1)
            found += [f"{indent}- {lines[0].strip()}", *lines[1:]] if lines else []
        else:
            found.append(f"{indent}- {_word(value)}")
    return found


def _word(value: object) -> str:
    match value:
        case None:
            return "なし"
        case True:
            return "はい"
        case False:
            return "いいえ"
        case str():
            return WORDS.get(value, value)
    return str(value)
