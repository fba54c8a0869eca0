"""The sentences before signing, in Japanese: the same keys and the same fields as the English ones.

Knows:  what will and what will not be possible afterwards.
Never:  a key that ``sentences`` has not, or lacks (a test compares them).
Leaves: two mappings.
Clauses: 7.3(1)2, 7.2(1), 7.1(4), 0 (explained so that it is understood).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

AFTERWARDS_JA: Final[Mapping[str, str]] = MappingProxyType({
    "officers.founded":
        "これ以後、このポールのことを決められるのはこの職員だけで、職員を加えるのもこの職員だけです。発足は二度とで"
        "きません。",
    "role.granted":
        "これ以後、{officer[account]} はこのポールで {officer[role]} として働き、以前の職務は無くなります。提供の承"
        "認は総括責任者と管理責任者のままです。",
    "role.granted:decider":
        "これ以後、{officer[account]} は {officer[role]} として、映像の提供や鍵の変更も決められます。一人だけでは何"
        "も提供できません。",
    "role.granted:outside":
        "{officer[account]} は {officer[role]} として見るだけで、ここでは保全も承認も提供もできません。",
    "role.revoked": "{account} はこのポールでもう署名できません。以前の署名は有効なままです。",
    "role.revoked:decider":
        "{account} はこのポールでもう何も決められず、承認を待つ案件には別の職員が必要です。以前の署名は有効なままで"
        "す。",
    "role.revoked:outside": "{account} はこのポールで職務を持ちません。記録は残ります。",
    "role.override":
        "{account} は {until} まで両系統の権限を持つことができ、台帳で誰にでも分かります。その後、兼務は自動的に止"
        "まります。",
    "role.override:own":
        "{account} は {until} まで両系統の権限を持つことができ、台帳で誰にでも分かります。その後、兼務は自動的に止"
        "まります。",
    "groups.changed":
        "次の鍵からの映像は新しい組でだけ開けます。それまでの映像は以前の鍵でしか開けないので、以前の鍵を保管してく"
        "ださい。",
    "recipient.added":
        "{organisation} は {not_after} まで、承認された案件で映像を受け取れます（その公開鍵へ封印）。案件がなければ"
        "何も受け取れません。",
    "recipient.changed": "これ以後、{recipient} は新しい鍵・期限・条件で受け取ります。既に渡したものはそのままです。",
    "recipient.suspended": "{recipient} は再開されるまで何も受け取れません。履歴は残ります。",
    "recipient.resumed": "{recipient} は期限と条件の範囲で、承認された案件の映像を再び受け取れます。",
    "recipient.removed":
        "{recipient} はこの記号では二度と何も受け取れず、記号は再使用できません。履歴はずっと残ります。",
    "hold.placed":
        "{span[camera]} の {minutes} は {ends} まで残り、文書で確認されない限りその後は残りません。これで映像を見る"
        "ことはできません。",
    "hold.placed:document":
        "{span[camera]} の {minutes} は {ends} まで残り、その後は新たな決定が必要です。これで映像を見ることはできま"
        "せん。",
    "hold.confirmed":
        "保全 {hold} は {ends} まで続き、その後は新たな決定が必要です。これで映像を見ることはできません。",
    "hold.renewed": "保全 {hold} は {ends} まで続き、その後は新たな決定が必要です。",
    "hold.renewed:year": "保全 {hold} は開始から12か月を超えて {ends} まで続き、その後は二人の新たな決定が必要です。",
    "hold.lifted":
        "保全 {hold} の映像は保全がなかったものとして扱われ、336時間を過ぎた分は次の更新で消去されて、誰にも元に戻"
        "せません。",
    "case.opened": "案件 {case} は下書きです。これではまだ何もポールから出ません。",
    "case.documented": "案件 {case} に文書が入りました。以前の承認は無効となり、二人が承認するまで何も出ません。",
    "case.scoped":
        "案件 {case} はちょうどこの時間の映像を求めます。以前の承認は無効となり、これを超える映像は出ません。",
    "case.approved":
        "総括責任者と管理責任者がこの内容をそのまま承認すると、案件 {case} の映像をポールから出せます。後で内容が変"
        "わればこの承認は無効です。",
    "case.refused": "案件 {case} は回答書をもって終わります。これでは何も出ず、再び開くことはできません。",
    "case.withdrawn": "案件 {case} はここで終わります。これでは何も出ず、再び開くことはできません。",
    "case.sealed":
        "案件 {case} の映像は、両方の組の職員が開ける形でポールの外へ出ます。ポールで消去された後も開けます。取り消"
        "すことはできません。",
    "case.handed_over": "案件 {case} の映像は映像取得者の手に渡り、市がそこから消すことはできません。",
    "case.receipted": "案件 {case} の受領書がそろい、終了できます。",
    "case.closed": "案件 {case} は終了し、何も加えられません。記録は残ります。",
    "medium.registered": "これ以後、{medium} はこのポールの案件の映像を運べます。",
    "medium.out": "{medium} は案件 {case} で持出中です。戻して消去するか、紛失を届け出なければなりません。",
    "medium.returned": "{medium} は戻りました。消去されるまで持ち出せません。",
    "medium.sanitised": "{medium} の中身は無くなりました（{method}）。destroy の後は二度と持ち出せません。",
    "medium.lost": "{medium} は紛失扱いとなり、届出が必要です。中身は映像取得者だけが開けるよう封印されています。",
    "clock.stated":
        "ポールは {officers_utc} を正しい時刻として扱います。それで336時間を過ぎた映像は消去され、誰にも元に戻せま"
        "せん。",
})  # fmt: skip

ASKING_JA: Final[Mapping[str, str]] = MappingProxyType({
    "word": "取り消せません。進めるには {word} と入力してください",
    "drawn-up":
        "署名: ssh-keygen -Y sign -n act.smartpole -f あなたの鍵 {file}\n"
        "次に {file}.sig を {file}.職員記号.sig に改名し、全ファイルを72時間以内にポールへ運び、そこで: act submit "
        "{file}",
    "aside": "ある行為が効力を持つ前に中断されました。ファイルは {path} にあります。必要ならもう一度行ってください。",
    "partial": "一部だけの保全: {count} 分は残せません: {gone}",
    "nine-words": "組 {group} の鍵 {file} の九つの言葉",
    "minutes": "{first} から {last} までの分",
})  # fmt: skip
