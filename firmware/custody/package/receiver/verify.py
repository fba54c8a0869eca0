#!/usr/bin/env python3
"""Is this package as it was handed over? One file, Python 3.8 or newer, nothing to install, no network.

Knows:  the files of one package, the pole's public key in it.
Never:  a private key, anything but this folder, a verdict of "unchanged" while something could not be judged.
Leaves: lines in Japanese and English; exit code 0 unchanged, 1 changed, 2 could not be judged.
Clauses: 7.3(1)3 (whoever receives it can judge it without us).

    python3 verify.py [FOLDER] [--expect SHA256-ON-THE-PAPER]

1. Every file is listed in SHA256SUMS with its hash, and nothing else is here.
2. manifest.json has the same hashes. The paper has the hash of manifest.json.
3. The pole's key has signed checkpoint.txt and the bundle's index.
4. The ledger of that checkpoint has a line about the bundle and one a minute; each has its minute's manifest's hash.
5. Every sealed chunk of those manifests is accounted for.
6. Each film has exactly those chunks' pictures, each chunk at its time.
7. What is not shown stands in gaps.json; gaps.csv says the same.
8. SHA256SUMS.sig, where it is here, is a good signature.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import io
import json
import re
import struct
import sys
import unicodedata
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware.custody.package.receiver.curves import UnknownKind, ssh_signed
from firmware.custody.package.receiver.decided import approved_by
from firmware.custody.package.receiver.films import MINUTE_NS, chunk_times, pictures
from firmware.custody.package.receiver.notes import PoleKey, included

if TYPE_CHECKING:  # Python 3.8 could not use them as types
    from collections.abc import Callable, Iterator

SUMS, MANIFEST, SIGNATURE = "SHA256SUMS", "manifest.json", "SHA256SUMS.sig"
PAPERS = ("提供票.html", "受領書.html")
NAMESPACE = b"package.smartpole"
HOLE_NS = 2 * 10**9


class Changed(Exception):  # noqa: N818 - a verdict
    """What was found: the file and the reason in Japanese and English."""

    def __init__(self, file: str, ja: str, en: str) -> None:
        super().__init__(file, ja, en)
        self.file, self.ja, self.en = file, ja, en


def read_sums(folder: Path) -> dict[str, str]:
    """Return the hashes by name of SHA256SUMS, once it is written exactly as we write it."""
    try:
        text = (folder / SUMS).read_bytes().decode("utf-8")
        rows = [(line[66:], line[:64]) for line in text.splitlines()]
    except (OSError, UnicodeDecodeError):
        raise Changed(SUMS, "読めません", "cannot be read") from None
    exact = "".join(f"{digest}  {name}\n" for name, digest in sorted(dict(rows).items()))
    if exact != text or not all(re.fullmatch("[0-9a-f]{64}", digest) for _, digest in rows):
        raise Changed(SUMS, "作成時の形ではありません", "is not as it was written")
    return dict(rows)


def compare_files(folder: Path, sums: dict[str, str]) -> Iterator[Changed]:
    """Yield every file that was changed, is missing, or was added."""
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    here = {unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): path for path in paths}  # macOS splits
    for name in sorted(set(here) - set(sums) - {SUMS, SIGNATURE}):
        yield Changed(name, "一覧にないファイルです", "is not in the list: it was added")
    for name in sorted(sums):
        if name not in here:
            yield Changed(name, "ありません", "is missing")
        elif _hash(here[name]) != sums[name]:
            yield Changed(name, "変更されています", "was changed")


def check_manifest(folder: Path, sums: dict[str, str]) -> dict[str, Any]:
    """Return manifest.json once it lists the same files with the same hashes."""
    manifest: dict[str, Any] = _json(folder, MANIFEST)
    listed = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    if listed != {name: digest for name, digest in sums.items() if name not in (*PAPERS, MANIFEST)}:
        odd = sorted(set(listed.items()) ^ {(n, d) for n, d in sums.items() if n not in (*PAPERS, MANIFEST)})
        raise Changed(odd[0][0], "manifest.json のハッシュと違います", "has not the hash in manifest.json")
    return manifest


def check_ledger(folder: Path, manifest: dict[str, Any]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Return the bundle's index and the minutes' manifests, once the pole's signed ledger proves them."""
    key = _checked("pole.vkey", lambda: PoleKey((folder / "pole.vkey").read_text("utf-8")[:-1]))
    if key.fingerprint != manifest["pole_key"]["fingerprint"]:
        raise Changed("pole.vkey", "manifest.json の鍵と違います", "is another key than manifest.json names")
    head = _checked("checkpoint.txt", lambda: key.open((folder / "checkpoint.txt").read_bytes().decode()).split("\n"))
    size, root = int(head[1]), base64.b64decode(head[2])
    proofs = _json(folder, "proofs.json")
    bundle = proofs["bundle"]

    def proven(entry: dict[str, Any], event: str = "") -> dict[str, Any]:
        line: dict[str, Any] = json.loads(entry["line"])
        path = [base64.b64decode(text, validate=True) for text in entry["path"]]
        if line["event"] != (event or line["event"]) or not included(
            entry["line"].encode(), line["n"], size, path, root
        ):
            raise ValueError("not in the ledger")
        return line

    def bundled() -> dict[str, Any]:
        digest = base64.b64encode(hashlib.sha256(bundle["index"].encode()).digest()).decode()
        index: dict[str, Any] = json.loads(bundle["index"])
        line = proven(bundle, "case.bundled")
        same = key.open(bundle["note"]) == f"{key.name}\nbundle sha256\n{digest}\n"
        same &= line["document"] == hashlib.sha256(index["document"].encode()).hexdigest()
        same &= (line["n"], index["document"], index["pole"]) == (
            index["ledger_line"], manifest["document"], manifest["pole"])  # fmt: skip
        if not same or (line["first_epoch"], line["last_epoch"]) != (index["first_epoch"], index["last_epoch"]):
            raise ValueError("another bundle")
        return index

    def minute(entry: dict[str, Any]) -> dict[str, Any]:
        line, found = proven(entry, "minute.sealed"), json.loads(entry["manifest"])
        digest = hashlib.sha256(entry["manifest"].encode()).hexdigest()
        if (line["manifest"], line["epoch"]) != (digest, found["epoch"]):
            raise ValueError("another manifest")
        return dict(found)

    index = _checked("proofs.json", bundled)
    for entry in proofs["case"]["acts"]:
        _checked("proofs.json", partial(proven, entry))
    minutes = {}
    for entry in proofs["minutes"]:
        found = _checked("proofs.json", partial(minute, entry))
        minutes[found["epoch"]] = found
    if sorted(minutes) != index["epochs"]:
        raise Changed("proofs.json", "分の記録が足りません", "lacks a minute of the bundle")
    return index, minutes


def check_case(folder: Path, index: dict[str, Any]) -> list[str]:
    """Return the accounts that approved the case, once the dossier is the ledger's and every signature is good.

    The lines about the acts were proven with all others. Raises :class:`Changed`, UnknownKind.
    """
    case = _json(folder, "proofs.json")["case"]
    told, dossier = _json(folder, "case.json"), json.loads(case["dossier"])
    lines = [json.loads(entry["line"]) for entry in case["acts"]]
    hashes = [hashlib.sha256(entry["act"].encode()).hexdigest() for entry in case["acts"]]
    sealed = hashlib.sha256(case["dossier"].encode()).hexdigest()
    if hashes != [line["act"] for line in lines] or (sealed, dossier["case"]) != (index["dossier"], index["case"]):
        raise ValueError("another case")
    approved = approved_by(case["acts"], [line["by"].split("/") for line in lines], sealed)
    same = all(told[name] == dossier[name] for name in ("case", "basis", "document", "spans"))
    same &= told["recipient"]["age_recipient"] == dossier["to"]["age_recipient"]
    if not same or len(approved) < 2 or not set(told["approved_by"]) <= set(approved):
        raise Changed("case.json", "承認された案件と違います", "is not the case that was approved")
    return approved


def check_chunks(manifest: dict[str, Any], minutes: dict[int, dict[str, Any]]) -> None:
    """Raise unless manifest.json has every sealed chunk the pole's ledger tells of, with its hash, and no other."""
    proven = {
        (epoch, chunk["sequence"]): (chunk["sha256"], chunk["ciphertext_bytes"])
        for epoch, minute in minutes.items()
        for chunk in minute["chunks"]
    }
    listed = {
        (chunk["epoch"], chunk["sequence"]): (chunk["ciphertext_sha256"], chunk["ciphertext_bytes"])
        for chunk in manifest["chunks"]
    }
    if proven != listed or len(listed) != len(manifest["chunks"]):
        raise Changed(MANIFEST, "区間の一覧が柱の記録と違います", "lists other chunks than the pole's ledger proves")


def check_film(
    folder: Path, film: dict[str, Any], manifest: dict[str, Any], minutes: dict[int, dict[str, Any]]
) -> None:
    """Raise unless the film has exactly its chunks' pictures, in order, each chunk's first at its proven time."""
    name = film["file"]
    with (folder / name).open("rb") as file:
        places, times = _checked(name, lambda: pictures(file))
        at = 0
        for chunk in sorted(
            (c for c in manifest["chunks"] if c.get("film") == name), key=lambda c: int(c["first_frame"])
        ):
            digest, frames = hashlib.sha256(), places[at : at + chunk["frames"]]
            for place, length in frames:
                file.seek(place)
                digest.update(file.read(length))
            when = f"{chunk['epoch']}-{chunk['sequence']}"
            if (chunk["first_frame"], len(frames)) != (at, chunk["frames"]) or digest.hexdigest() != chunk[
                "frames_sha256"
            ]:
                raise Changed(name, f"区間 {when} の映像が違います", f"other pictures in chunk {when}")
            if abs(times[at] - _expected_90k(film, chunk, minutes)) > 1:
                raise Changed(name, f"区間 {when} の時刻が違います", f"another time of chunk {when}")
            at += len(frames)
        if at != len(places):
            raise Changed(name, "余分な映像があります", "pictures that belong to no chunk")


def _expected_90k(film: dict[str, Any], chunk: dict[str, Any], minutes: dict[int, dict[str, Any]]) -> int:
    entries = {entry["sequence"]: entry for entry in minutes[chunk["epoch"]]["chunks"]}
    begin_ns, _ = chunk_times(chunk["epoch"], entries[chunk["sequence"]], len(entries))
    return (begin_ns - int(film["begin_utc_ns"])) * 9 // 100_000 + int(chunk["moved_90k"])


def check_gaps(
    folder: Path, manifest: dict[str, Any], index: dict[str, Any], minutes: dict[int, dict[str, Any]]
) -> None:
    """Raise unless every stretch without a picture stands in gaps.json, and gaps.csv says the same."""
    gaps = _json(folder, "gaps.json")
    shown = []
    for chunk in manifest["chunks"]:
        if "film" in chunk:
            entries = {entry["sequence"]: entry for entry in minutes[chunk["epoch"]]["chunks"]}
            shown.append(chunk_times(chunk["epoch"], entries[chunk["sequence"]], len(entries)))
    told = [(int(gap["from_utc_ns"]), int(gap["until_utc_ns"])) for gap in gaps]
    for span in index["spans"]:
        reached, end = span["first_epoch"] * MINUTE_NS, (span["last_epoch"] + 1) * MINUTE_NS
        for begin, until in sorted([*shown, *told, (end, end)]):
            if min(begin, end) - reached > HOLE_NS:
                raise Changed("gaps.json", "説明のない欠落があります", "a stretch without pictures is not in the list")
            reached = max(reached, until)
    _checked("gaps.csv", partial(_check_table, folder / "gaps.csv", gaps))


def _check_table(path: Path, gaps: list[dict[str, Any]]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if [dict(row) for row in rows] != [{name: str(value) for name, value in gap.items()} for gap in gaps]:
        raise Changed("gaps.csv", "gaps.json と違います", "does not say the same as gaps.json")


def check_papers(folder: Path, manifest: dict[str, Any], minutes: dict[int, dict[str, Any]]) -> None:
    """Raise unless case.json is of the same document, and time.json says of the clock what the pole's manifests say."""
    if _json(folder, "case.json")["document"]["number"] != manifest["document"]:
        raise Changed("case.json", "別の文書です", "is of another document")
    times = _json(folder, "time.json")
    told = {m["epoch"]: {name: m[name] for name in minutes[m["epoch"]]["clock"]} for m in times["minutes"]}
    if told != {epoch: minute["clock"] for epoch, minute in minutes.items()}:
        raise Changed("time.json", "柱の記録と違います", "does not say what the pole's ledger proves")
    if [(f["file"], f["begin_utc_ns"]) for f in times["films"]] != [
        (f["file"], f["begin_utc_ns"]) for f in manifest["films"]
    ]:
        raise Changed("time.json", "manifest.json と違います", "does not say the same as manifest.json")


def _json(folder: Path, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds; each use is judged
    return _checked(name, lambda: json.loads((folder / name).read_bytes().decode("utf-8")))


def _checked(name: str, judge: Callable[[], Any]) -> Any:  # noqa: ANN401 - Python 3.8 knows no generic function
    try:
        return judge()
    except (ValueError, KeyError, IndexError, TypeError, OSError, struct.error, binascii.Error):
        raise Changed(name, "証明が合いません", "does not prove what it should") from None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def judge(folder: Path, expected: str = "") -> tuple[list[Changed], dict[str, str], list[str]]:
    """Return what was changed (nothing: unchanged), what a person compares with the paper, what cannot be judged."""
    found: list[Changed] = []
    facts: dict[str, str] = {}
    unjudged: list[str] = []
    try:
        sums = read_sums(folder)
        found += compare_files(folder, sums)
        manifest = _checked(MANIFEST, partial(check_manifest, folder, sums))
        whole = _hash(folder / MANIFEST)
        grouped = " ".join(whole[at : at + 8] for at in range(0, 64, 8))
        facts = {"manifest": grouped, "pole": manifest["pole_key"]["fingerprint"]}
        if expected and expected.replace(" ", "").lower() != whole:
            raise Changed(MANIFEST, "紙のハッシュと違います", "has not the hash on the paper")
        index, minutes = _checked("proofs.json", partial(check_ledger, folder, manifest))
        try:
            facts["approved"] = ", ".join(_checked("proofs.json", partial(check_case, folder, index)))
        except UnknownKind as kind:
            unjudged.append(f"承認の署名 / signatures of approval ({kind})")
        _checked(MANIFEST, partial(check_chunks, manifest, minutes))
        _checked("time.json", partial(check_papers, folder, manifest, minutes))
        for film in manifest["films"]:
            _checked(film["file"], partial(check_film, folder, film, manifest, minutes))
        _checked("gaps.json", partial(check_gaps, folder, manifest, index, minutes))
        if (folder / SIGNATURE).exists():
            facts["signed by"] = _checked(SIGNATURE, partial(_signer, folder))
    except Changed as changed:
        if changed.file not in [earlier.file for earlier in found]:
            found.append(changed)
    except UnknownKind as kind:
        unjudged.append(f"{SIGNATURE} ({kind})")
    return found, facts, unjudged


def _signer(folder: Path) -> str:
    armored, sums = (folder / SIGNATURE).read_bytes().decode(), (folder / SUMS).read_bytes()
    return ssh_signed(armored, NAMESPACE, sums)


def main() -> int:
    """Judge the folder this file lies in, or the one that is named."""
    parser = argparse.ArgumentParser(description="この一式が提供時のままかを確かめます / judges this package")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--expect", default="", metavar="SHA256", help="紙に印刷されたハッシュ / the hash on the paper")
    options = parser.parse_args()
    if not (options.folder / SUMS).is_file():
        print(f"判定できません: {SUMS} がありません / cannot be judged: there is no {SUMS}")
        return 2
    found, facts, unjudged = judge(options.folder, options.expect)
    for changed in found:
        print(f"× {changed.file}: {changed.ja} / {changed.en}")
    if found:
        print("改変または欠落があります。証拠として使う前に提供元へ連絡してください。")
        print("CHANGED. Ask whoever handed it over before it is used.")
        return 1
    for what in unjudged:
        print(f"? 判定できません / cannot be judged here: {what}")
    print("変更はありません（映像・記録・台帳の証明）。 / UNCHANGED: films, records and the ledger's proofs.")
    print("次の値を紙と見比べてください。 / Compare these with the paper:")
    for name, value in facts.items():
        print(f"  {name:9} {value}")
    return 2 if unjudged else 0


if __name__ == "__main__":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", errors="replace")  # a Windows console, too
    sys.exit(main())
