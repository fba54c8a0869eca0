"""The words of a printed certificate of erasure, in both languages.

Knows:  keys and sentences.
Never:  a key in one language only (a test compares them); the weaker method passed over in silence.
Leaves: one mapping a language.
Clauses: 7.1(3), 7.3(1)3.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from firmware.custody.languages import Language

_JA: Final[Mapping[str, str]] = MappingProxyType({
    "title": "防犯カメラ映像 消去証明書",
    "pole": "ポール",
    "span": "対象の時間",
    "issued": "発行",
    "standard": "用語の規格",
    "technique": "技法",
    "cryptographic erase": "暗号消去（cryptographic erase）：映像を開く唯一の鍵を破棄した",
    "what": "何が、いつ、どのように",
    "minutes": "対象の分（始まり〜終わり、日本時間）",
    "recorded": "記録のあった分数",
    "when": "鍵を破棄した時刻（日本時間）",
    "method": "方法",
    "purge": "Purge（専用チップ内の秘密を上書き）",
    "clear": "Clear（ファイル内の秘密を上書き。弱い方法）",
    "generation": "鍵表の世代",
    "line": "台帳の行",
    "early": "容量不足による早期消去",
    "summary": "収支（分）",
    "erased": "消去済",
    "live": "保存中（この証明の対象外）",
    "lost": "鍵の喪失により開けない（消去ではない）",
    "lost_title": "鍵を失った分",
    "reason": "理由",
    "table_damaged": "鍵表の破損",
    "secret_missing": "秘密の喪失",
    "exported_title": "消去前に提供された分",
    "exported": "次の分は公文書に基づいて既に提供されている。"
    "提供された写しはその鍵とともに存続し、ポールでの消去はこれに及ばない。",
    "none": "なし",
    "software": "鍵の秘密はファイルに置かれていた。上書きしても、摩耗した記憶素子に古い写しが残ることがあり、"
    "その写しと古い鍵表と両組の職員の鍵がそろえば開かれ得る。専用チップによる消去より弱い。",
    "tpm2": "鍵の秘密は専用チップ（TPM）の中にだけ置かれ、そこで上書きされた。"
    "ポールの動作中に管理者権限で秘密を写し取った者がいないことまでは、この証明書は示さない。",
    "proof": "確かめ方",
    "how": "JSON ファイルの署名と、各行が台帳に含まれることを、"
    "pole-custodian erasure verify により通信なしに確かめられる。",
    "key": "ポールの公開鍵の指紋",
    "checkpoint": "台帳の検認",
    "hash": "証明書（JSON）の SHA-256",
    "signature": "確認者（職・氏名・日付）",
})  # fmt: skip

_EN: Final[Mapping[str, str]] = MappingProxyType({
    "title": "Security footage: certificate of erasure",
    "pole": "Pole",
    "span": "Minutes in question",
    "issued": "Issued",
    "standard": "Vocabulary",
    "technique": "Technique",
    "cryptographic erase": "cryptographic erase: the only keys that open the footage were destroyed",
    "what": "What, when and how",
    "minutes": "Minutes (begin to end, Japanese time)",
    "recorded": "Minutes with footage",
    "when": "Keys destroyed at (Japanese time)",
    "method": "Method",
    "purge": "Purge (the secret was overwritten inside the TPM)",
    "clear": "Clear (the secret was overwritten in a file: weaker)",
    "generation": "Key table",
    "line": "Ledger line",
    "early": "early, to make room on a full disk",
    "summary": "Balance (minutes)",
    "erased": "erased",
    "live": "kept (not certified here)",
    "lost": "unreadable because keys were lost (not erased)",
    "lost_title": "Minutes whose keys were lost",
    "reason": "Reason",
    "table_damaged": "key table damaged",
    "secret_missing": "secret missing",
    "exported_title": "Handed out before they were erased",
    "exported": "These minutes had been handed out against a document. That copy lives on with keys of its own; "
    "erasing on the pole does not reach it.",
    "none": "none",
    "software": "The secret lay in a file. Worn flash memory may keep an old copy of an overwritten file; with that "
    "copy, an old key table and the keys of both groups of officers these minutes could be opened. Weaker than a TPM.",
    "tpm2": "The secret lay in the TPM alone and was overwritten there. This certificate does not show that nobody "
    "with administrator's rights copied it while the pole ran.",
    "proof": "How to check it",
    "how": "pole-custodian erasure verify judges the JSON file's signature and each line's place in the ledger, "
    "off line.",
    "key": "Fingerprint of the pole's key",
    "checkpoint": "Ledger checkpoint",
    "hash": "SHA-256 of the certificate (JSON)",
    "signature": "Checked by (office, name, date)",
})  # fmt: skip

WORDS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType({Language.JA: _JA, Language.EN: _EN})
