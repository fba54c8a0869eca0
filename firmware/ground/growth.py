"""What shows that a ledger only grew: proofs from its last signed sizes, and the hashes of its newest lines.

Knows:  hashes and sizes of the last signed checkpoints, nothing of a line but its hash.
Never:  a line's content; a proof that needs the whole ledger to be read again.
Leaves: one text beside each signed checkpoint, for a witness that saw any of the last 32.
Clauses: 7.3(1)3 (a rewritten record is seen by whoever keeps its checkpoints, and by name of its line).

    smartpole growth v1
    old 1200                 RFC 6962 consistency proof from that size to the checkpoint's, for each of the last sizes
    base64(hash) ...
    leaves 1260              hashes of the lines from n=1260 to the checkpoint's last (those since the newest "old")
    base64(hash) ...
                             (empty line)
    checkpoint               as a C2SP signed note
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from firmware.ground import merkle, note
from firmware.ground.errors import LedgerError
from firmware.ground.note import Checkpoint

MARKS: Final = 32
"""From how many of the last signed sizes each text proves: 29 hours of a pole that sweeps on time."""

MOST_LEAVES: Final = 512
"""More new lines than that since the last checkpoint are not told one by one."""

_HEAD: Final = "smartpole growth v1"
_HASH: Final = "[A-Za-z0-9+/]{43}="
FORM: Final = (
    rf"{_HEAD}\n(old [1-9][0-9]{{0,15}}\n({_HASH}\n){{0,64}}){{0,{MARKS}}}"
    rf"leaves (0|[1-9][0-9]{{0,15}})\n({_HASH}\n){{0,{MOST_LEAVES}}}\n"
)
"""Everything before the checkpoint, as a regular expression: sizes and hashes, nothing else."""

_GRAMMAR: Final = re.compile(FORM)


@dataclass(frozen=True, slots=True)
class Growth:
    """One text, read: ``proofs`` by old size, hashes of the lines from ``first_leaf`` on, the signed checkpoint."""

    proofs: Mapping[int, tuple[bytes, ...]]
    first_leaf: int
    leaves: tuple[bytes, ...]
    signed: str
    checkpoint: Checkpoint

    def grew_from(self, old: Checkpoint) -> bool | None:
        """Tell whether the checkpoint only adds lines to ``old``; None where the text has no proof from that size."""
        new = self.checkpoint
        if old.size == 0:
            return merkle.consistent(0, old.root, new.size, new.root, ())
        proof = () if old.size == new.size else self.proofs.get(old.size)
        if proof is not None:
            return merkle.consistent(old.size, old.root, new.size, new.root, proof)
        if len(self.leaves) != new.size or not 0 < old.size < new.size:
            return None
        tree = merkle.Tree()  # all lines are told: nothing else is needed
        for leaf in self.leaves[: old.size]:
            tree.append(leaf)
        return tree.root() == old.root and self.leaves_hold(None)

    def leaves_hold(self, old: Checkpoint | None) -> bool:
        """Tell whether the hashes of lines are those of the checkpoint.

        ``old`` is a checkpoint known to be true, of the size at which they begin (None for 0); without it: False.
        """
        tree = merkle.Tree()
        if self.first_leaf:
            proof = self.proofs.get(self.first_leaf)
            if old is None or old.size != self.first_leaf or proof is None:
                return False
            tree = merkle.tree_from_proof(old.size, old.root, self.checkpoint.size, proof)
        for leaf in self.leaves:
            tree.append(leaf)
        return tree.size == self.checkpoint.size and tree.root() == self.checkpoint.root

    def shortened(self, old: int) -> Growth:
        """Return the same with the proofs from size ``old`` and from the last two sizes only, to be kept for years."""
        proofs = {mark: self.proofs[mark] for mark in self.proofs if mark == old or mark in [*self.proofs][-2:]}
        return Growth(proofs, self.first_leaf, self.leaves, self.signed, self.checkpoint)

    def text(self) -> str:
        """Return the text as it stands above."""
        rows = [_HEAD]
        for old, proof in self.proofs.items():
            rows += [f"old {old}", *map(_base64, proof)]
        rows += [f"leaves {self.first_leaf}", *map(_base64, self.leaves), "", ""]
        return "\n".join(rows) + self.signed


def parse(text: str, *, where: str) -> Growth:
    """Read a text; the checkpoint's signature is not judged, nor any proof. Raises :class:`LedgerError`."""
    found = _GRAMMAR.match(text)
    if found is None:
        raise _malformed(where)
    proofs = dict[int, tuple[bytes, ...]]()
    first_leaf, leaves = 0, tuple[bytes, ...]()
    for section in re.split(r"\n(?=old |leaves )", found[0].removesuffix("\n\n"))[1:]:
        head, *rows = section.split("\n")
        word, number = head.split(" ")
        hashes = tuple(_unbase64(row, where) for row in rows)
        if word == "old":
            proofs[int(number)] = hashes
        else:
            first_leaf, leaves = int(number), hashes
    signed = text[found.end() :]
    growth = Growth(proofs, first_leaf, leaves, signed, note.parse_checkpoint(signed, where=where))
    if growth.text() != text:
        raise _malformed(where)
    return growth


class RecentTree(merkle.Tree):
    """A tree that also keeps the hashes of its lines after the first ``since``: enough to prove growth from there."""

    def __init__(self, since: int = 0) -> None:
        super().__init__()
        self._since = since
        self._base = merkle.Tree()
        self._recent = list[bytes]()

    def append(self, leaf: bytes, wanted: dict[merkle.Node, bytes] | None = None) -> None:
        """See :meth:`firmware.ground.merkle.Tree.append`."""
        super().append(leaf, wanted)
        if self.size > self._since:
            self._recent.append(leaf)
        elif self.size == self._since:
            self._base = self.copy()

    def forget_before(self, size: int) -> None:
        """Keep only what proves growth from ``size`` on."""
        while self._base.size < size and self._recent:
            count = size - self._base.size
            for leaf in self._recent[:count]:
                self._base.append(leaf)
            del self._recent[:count]

    def growth(self, marks: Sequence[int], signed: str) -> Growth:
        """Return what shows that this tree grew from each of ``marks`` (sizes, rising) that it still knows."""
        here = self._base.size + len(self._recent) == self.size  # else its marks were of another ledger
        known = [mark for mark in marks if here and max(1, self._base.size) <= mark < self.size][-MARKS:]
        wanted = {mark: merkle.consistency_nodes(mark, self.size) for mark in known}
        hashes = dict.fromkeys((node for nodes in wanted.values() for node in nodes), b"")
        hashes |= {node: peak for node, peak in self._base.peaks().items() if node in hashes}
        tree = self._base.copy()
        for leaf in self._recent:
            tree.append(leaf, hashes)
        tree.root(hashes)
        proofs = {mark: tuple(hashes[node] for node in nodes) for mark, nodes in wanted.items()}
        first = known[-1] if known else self._base.size
        leaves = tuple(self._recent[first - self._base.size :])
        if len(leaves) > MOST_LEAVES or not (known or (here and first == 0)):
            first, leaves = self.size, ()
        return Growth(proofs, first, leaves, signed, note.parse_checkpoint(signed, where="checkpoint"))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _unbase64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _malformed(where) from None


def _malformed(where: str) -> LedgerError:
    return LedgerError(
        "E-LEDGER-NOTE", "this shows no ledger's growth", where=where, todo="give the text exactly as it was published"
    )
