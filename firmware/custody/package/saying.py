"""Codes in words, Japanese and English: what an investigator, a judge or a defender reads.

Knows:  the closed lists of reasons, papers, bodies and steps.
Never:  a code without words (a test compares the lists), a person.
Leaves: pairs ``(ja, en)``.
Clauses: 7.2(1) (what is handed out says what it lacks, and why).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from firmware.footage.manifest import ClockEntry

Words = tuple[str, str]

GAPS: Final[Mapping[str, Words]] = MappingProxyType({
    "stopped": ("停止中", "stopped"),
    "maintenance": ("保守", "maintenance"),
    "notice_mismatch": ("掲示と設定の不一致による停止", "stopped: the notice did not match"),
    "camera_fault": ("カメラの故障", "camera fault"),
    "recorder_fault": ("記録処理の故障", "recorder fault"),
    "store_fault": ("記憶装置の故障", "storage fault"),
    "disk_full": ("記憶容量の不足", "disk full"),
    "overload": ("処理の過負荷", "overload"),
    "clock_unproven": ("時計が未確認", "clock not proven"),
    "power": ("停電", "power cut"),
    "erased": ("保存期間の満了による消去済み", "erased: its time was over"),
    "expired": ("保存期間の満了", "its time was over"),
    "dropped_early": ("容量不足による早期消去", "erased early: disk full"),
    "lost": ("鍵の喪失により復号不能", "lost: its key is gone"),
    "not_recorded": ("記録なし", "not recorded"),
    "not_sealed": ("封印前", "not sealed yet"),
    "damaged": ("柱の上で損傷", "damaged on the pole"),
    "unreadable": ("封印の不良により復号不能", "wrongly sealed: does not open"),
    "unexplained": ("理由不明", "unexplained"),
    "not_asked": ("照会の範囲外", "outside what was asked for"),
})  # fmt: skip

INSTRUMENTS: Final[Mapping[str, Words]] = MappingProxyType({
    "investigation-inquiry": ("捜査関係事項照会書", "investigation inquiry"),
    "warrant": ("令状", "warrant"),
    "bar-inquiry": ("弁護士会照会", "inquiry of a bar association"),
    "court-commission": ("文書送付嘱託・調査嘱託", "a court's commission"),
    "disclosure-request": ("開示請求", "disclosure request"),
    "telephone": ("電話", "telephone"),
    "life-protection": ("生命保護のための要請", "request to protect life"),
})  # fmt: skip

BODIES: Final[Mapping[str, Words]] = MappingProxyType({
    "police-station": ("警察署", "police station"),
    "police-headquarters": ("警察本部", "police headquarters"),
    "prosecutor": ("検察庁", "prosecutor's office"),
    "coast-guard": ("海上保安庁", "coast guard"),
    "narcotics-control": ("麻薬取締部", "narcotics control"),
    "labour-standards": ("労働基準監督署", "labour standards office"),
    "court": ("裁判所", "court"),
    "bar-association": ("弁護士会", "bar association"),
})  # fmt: skip

BASES: Final[Mapping[str, Words]] = MappingProxyType({
    "law": ("①法令等に基づく場合", "(1) by law"),
    "request": ("②公文書による照会", "(2) inquiry by an official document"),
})  # fmt: skip

STEPS: Final[Mapping[str, Words]] = MappingProxyType({
    "recorded": ("撮影・封印（柱）", "recorded and sealed on the pole"),
    "hold.placed": ("保全", "hold placed"),
    "hold.confirmed": ("文書による保全の確認", "hold confirmed by document"),
    "hold.renewed": ("保全の継続の決定", "hold renewed"),
    "hold.lifted": ("保全の解除", "hold lifted"),
    "recipient.added": ("提供先の登録", "recipient registered"),
    "recipient.changed": ("提供先の変更", "recipient changed"),
    "case.opened": ("案件の開始", "case opened"),
    "case.documented": ("文書の受理", "document received"),
    "case.scoped": ("範囲と提供先の決定", "scope and recipient set"),
    "case.approved": ("承認", "approved"),
    "case.sealed": ("封印のまま搬出の決定", "sealing ordered"),
    "case.bundled": ("封印のまま柱から搬出", "left the pole, still sealed"),
    "opened": ("庁内で開封（二名の鍵）", "opened at the desk with two officers' keys"),
    "packaged": ("提供先の鍵で封印", "sealed to the recipient"),
})  # fmt: skip

_NETWORK: Final = ("NTP同期", "network time")
_SOURCES: Final[Mapping[str, Words]] = MappingProxyType({
    "network": _NETWORK,
    "ntp": ("NTP同期", "NTP"),
    "nts": ("NTS同期", "NTS"),
    "officer": ("係員の時計で確認", "an officer's clock"),
})  # fmt: skip


def words(of: Mapping[str, Words], code: str) -> Words:
    """Return a code's words; the code itself where a newer pole has one that this desk does not know."""
    return of.get(code, (code, code))


def clock_words(clocks: Sequence[ClockEntry]) -> Words:
    """Return the sentence about time (A-24): ``時刻は±0.2秒（NTP同期）`` or ``未同期``, over all of ``clocks``."""
    known = bool(clocks) and all(clock.uncertainty_ms >= 0 for clock in clocks)
    worst = max((clock.uncertainty_ms for clock in clocks), default=0)
    amount = seconds_text(worst)
    if clocks and known and all(clock.proven for clock in clocks):
        said = [words(_SOURCES, source) for source in sorted({str(clock.source) for clock in clocks})]
        ja, en = "・".join(pair[0] for pair in said), ", ".join(pair[1] for pair in said)
        return f"時刻は±{amount}秒（{ja}）", f"times are within ±{amount} s ({en})"
    if known:
        return f"時刻は±{amount}秒（未同期）", f"times are within ±{amount} s (not synchronised)"
    return "時刻は未同期（誤差不明）", "the clock was not synchronised (error unknown)"


def clock_mark(clock: ClockEntry | None) -> str:
    """Return the same for one subtitle: ``±0.2s``, ``±3.0s 未同期`` or ``未同期``."""
    if clock is None or clock.uncertainty_ms < 0:
        return "未同期"
    return f"±{seconds_text(clock.uncertainty_ms)}s" + ("" if clock.proven else " 未同期")


def seconds_text(milliseconds: int) -> str:
    """Return milliseconds as seconds with one decimal, rounded up: an uncertainty is never told smaller."""
    tenths = -(-milliseconds // 100)
    return f"{tenths // 10}.{tenths % 10}"
