"""Japanese labels of facts and words for codes.

Knows:  keys of facts as ``--json`` gives them, codes as the register and the ledger write them.
Never:  a sentence that promises something.
Leaves: two mappings.
Clauses: 7.3(1)2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LABELS: Final[Mapping[str, str]] = MappingProxyType({
    "asked": "求められた時間",
    "begin_jst": "始まり（日本時間）",
    "begin_utc": "始まり（協定世界時）",
    "bundle": "バンドル",
    "bundle_line": "バンドルの台帳行",
    "checkpoints": "照合した検認",
    "chunks": "開いた断片",
    "clock": "時刻",
    "compared": "鍵の照合",
    "config_sha256": "設定のハッシュ",
    "damaged": "ポールで既に壊れていた断片",
    "damaged_on_pole": "ポールで既に壊れていた断片",
    "document": "文書番号",
    "epoch": "分（番号）",
    "file": "ファイル",
    "films": "映像",
    "fingerprint": "指紋",
    "first_epoch": "最初の分（番号）",
    "frames": "こま数",
    "gaps": "欠落",
    "here": "含まれる分",
    "keystore": "鍵の保管",
    "last_epoch": "最後の分（番号）",
    "ledger": "台帳",
    "ledger_line": "台帳の行",
    "ledger_utc": "台帳の時刻",
    "line_ahead_ms": "時刻線の進み（ミリ秒）",
    "lines": "行数",
    "made_by": "記録したもの",
    "made_utc": "作成（協定世界時）",
    "minutes": "分数",
    "missing": "含まれない分",
    "moved_90k": "ずらした断片",
    "origin": "台帳の名",
    "out": "出力先",
    "passphrase": "合言葉（今だけ表示。紙に控え、ファイルとは別に保管）",
    "pole": "ポール",
    "pole_key": "ポールの公開鍵",
    "proven": "確認済",
    "reason": "理由",
    "recipient": "公開鍵（受け手）",
    "recovered_minutes": "停電後に復元した分",
    "root": "根のハッシュ",
    "seconds": "秒",
    "sequence": "断片（番号）",
    "sha256": "ハッシュ（SHA-256）",
    "signatures": "署名の確認",
    "software": "ソフトウェア",
    "sources": "時刻源",
    "text": "文字列",
    "unreadable": "開けない断片",
    "why": "理由",
    "worst_uncertainty_ms": "時刻の不確かさ（最大、ミリ秒）",
})  # fmt: skip

WORDS: Final[Mapping[str, str]] = MappingProxyType({
    "erased": "消去済",
    "expired": "期限切れ",
    "dropped_early": "容量不足で早期消去",
    "lost": "鍵の喪失",
    "not_recorded": "記録なし",
    "not_sealed": "封印前",
    "damaged": "破損",
    "changed": "変化",
    "missing": "欠落",
    "software": "ファイル（試験用）",
    "tpm2": "専用チップ",
    "machine": "機器の時計",
    "ratchet": "最後に記録した時刻",
    "network": "認証された網の時刻",
    "officer": "職員の署名した時刻",
})  # fmt: skip
