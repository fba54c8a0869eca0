"""The morning sheet's words in both languages.

Knows:  keys and sentences.
Never:  a key in one language only (a test compares them).
Leaves: one mapping a language.
Clauses: 7.1(4), 7.3(1)2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from firmware.custody.languages import Language

_JA: Final[Mapping[str, str]] = MappingProxyType({
    "title": "防犯カメラ 朝の点検表",
    "made": "作成",
    "todo": "対応が必要なもの",
    "nothing": "ありません。",
    "today": "本日",
    "days": "日",
    "poles": "ポールの状態",
    "pole": "ポール",
    "as_of": "時点",
    "state": "状態",
    "recording": "作動中",
    "stopped": "停止中",
    "missing": "欠測（24時間、分）",
    "kept": "保存日数",
    "clock": "時刻",
    "proven": "確認済",
    "unproven": "未確認",
    "disk": "空き",
    "holds": "保全",
    "cases": "案件",
    "keystore": "鍵の保管",
    "tpm2": "専用チップ",
    "software": "ファイル（試験用）",
    "unread": "読めなかったファイル",
    "note": "保存期間は最長14日（336時間）です。保全は期限が来ると自動的に終わり、映像は消去されて元に戻せません。",
    "todo_old": "情報が古くなっています",
    "todo_stopped": "録画が止まっています",
    "todo_clock": "時刻が確認できていないため、提供はできません",
    "todo_both_lines": "両系統の権限を一人が持っています",
    "todo_medium": "媒体が戻っていません",
    "todo_hold_provisional": "仮の保全が終わります（文書での確認が必要）",
    "todo_hold_confirmed": "保全が終わります（続けるには新たな決定が必要）",
    "todo_recipient": "取得者の登録が切れます",
    "todo_case": "処理中の案件（状態、承認数）",
})  # fmt: skip

_EN: Final[Mapping[str, str]] = MappingProxyType({
    "title": "Security cameras: morning sheet",
    "made": "made",
    "todo": "What needs somebody",
    "nothing": "Nothing.",
    "today": "today",
    "days": "days",
    "poles": "The poles",
    "pole": "pole",
    "as_of": "as of",
    "state": "state",
    "recording": "recording",
    "stopped": "stopped",
    "missing": "missing (24 h, minutes)",
    "kept": "days kept",
    "clock": "clock",
    "proven": "proven",
    "unproven": "unproven",
    "disk": "free",
    "holds": "holds",
    "cases": "cases",
    "keystore": "keys in",
    "tpm2": "chip",
    "software": "file (bench)",
    "unread": "Files that could not be read",
    "note": "Footage is kept 14 days (336 h) at most. A hold ends by itself; what it held is then erased for good.",
    "todo_old": "its facts are old",
    "todo_stopped": "recording has stopped",
    "todo_clock": "the clock is unproven: nothing can be handed out",
    "todo_both_lines": "one person holds both administration lines",
    "todo_medium": "a medium is not back",
    "todo_hold_provisional": "a provisional hold ends (a document must confirm it)",
    "todo_hold_confirmed": "a hold ends (keeping it takes a new decision)",
    "todo_recipient": "a recipient's registration expires",
    "todo_case": "a case is open (state, approvals)",
})  # fmt: skip

WORDS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType({Language.JA: _JA, Language.EN: _EN})
