"""Letters of the office: the slip of a hold, and the answer (回答書) when nothing is handed out.

Knows:  holds and cases as the register has them.
Never:  a person's name, a picture, a reason that was not recorded.
Leaves: printable HTML, one file a letter.
Clauses: 7.1(4) (what a hold keeps, and what it does not allow), 7.2(1) (a refusal is an answer, with its clause).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from firmware.custody.office.case_stages import Case, Ending, Stage
from firmware.custody.office.fields import Span
from firmware.custody.office.holds import KeptMinutes
from firmware.custody.office.instruments import RULES
from firmware.custody.pages import render
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc
from firmware.ground.errors import CaseError

_JAPAN_NS: Final = 9 * 3600 * NS_PER_SECOND
_KINDS: Final[Mapping[str, str]] = MappingProxyType({"provisional": "仮保全（電話）", "confirmed": "保全（文書）"})
_BASES: Final[Mapping[str, str]] = MappingProxyType(
    {"law": "法令等に基づく場合（7.1(4)①）", "request": "捜査機関の要請（7.1(4)②）"}
)
REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wrong-instrument": "ご提示の文書は、映像の提供の根拠となるものではありません（ガイドライン7.2(1)）。"
        "捜査関係事項照会書または令状によりお求めください。",
        "not-needed": "お求めの映像は、犯罪捜査の目的に必要と認められませんでした（7.2(1)②）。",
        "too-wide": "お求めの時間または範囲が必要最小限と認められませんでした（7.2(1)）。"
        "範囲を絞って改めてお求めください。",
        "gone": "お求めの時間の映像は、保存期間（14日間・336時間）の経過により消去され、存在しません（7.1(3)）。",
        "forged": "ご提示の文書の真正を確認できませんでした（7.2(1)②）。",
        "recipient": "映像取得者の登録・有効期限・閲覧条件を満たしていません（7.3(1)②）。",
        "other": "次の理由によります。",
        "withdrawn": "お求めの取下げを承りました。",
    }
)
"""By the code of the act; a test compares them with the acts."""


def hold_slip(pole: str, hold: KeptMinutes, now_epoch: int) -> str:
    """Return the slip of ``hold`` as HTML."""
    document = hold.document
    return render(
        "papers/hold_slip.html",
        {
            "number": hold.number, "pole": pole, "span": in_words(hold.span), "office": hold.office,
            "kind": _KINDS[hold.kind], "basis": _BASES[hold.basis], "placed": _minute(hold.placed_epoch),
            "ends": _minute(hold.ends_epoch), "by": hold.by, "standing": hold.standing(now_epoch),
            "document": document.number if document else None,
            "instrument": RULES[document.instrument].japanese if document else RULES_OF_A_CALL,
        },
    )  # fmt: skip


def answer_letter(pole: str, case: Case) -> str:
    """Return the letter of a case that ended without a hand-over, or of its last extension that did, as HTML.

    Raises :class:`CaseError` (E-CASE-ORDER) for a case of which nothing was refused or withdrawn.
    """
    if not case.endings:
        raise CaseError(
            "E-CASE-ORDER", f"nothing of it was refused or withdrawn; it is {case.stage}", where=f"case {case.number}",
            todo="a letter answers a refusal or a withdrawal", clause="7.2(1)",
        )  # fmt: skip
    ending: Ending = case.endings[-1]
    document = case.document
    return render(
        "papers/answer.html",
        {
            "case": case.number, "pole": pole, "refused": ending.outcome is Stage.REFUSED, "words": ending.words,
            "reason": REASONS[ending.reason], "date": _second(ending.at_ns)[:10], "by": ending.by,
            "spans": [in_words(span) for span in ending.spans],
            "document": document.number if document else None, "dated": document.date if document else None,
            "authority": document.authority if document else None,
            "instrument": RULES[document.instrument].japanese if document else None,
            "handed_over": len(case.deliveries),
        },
    )  # fmt: skip


RULES_OF_A_CALL: Final = "電話（折り返しにより確認済）"


def in_words(span: Span) -> str:
    """Return a stretch of minutes in Japanese time, the end not included."""
    return f"{span.camera} {_minute(span.first_epoch)} から {_minute(span.last_epoch + 1)} まで"


def _minute(epoch: int) -> str:
    return _second(epoch * NS_PER_MINUTE)


def _second(utc_ns: int) -> str:
    return iso_utc(utc_ns + _JAPAN_NS).replace("T", " ")[:16]
