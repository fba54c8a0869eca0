"""The Merkle tree of RFC 6962, grown one leaf at a time.

Knows:  SHA-256 hashes of leaves, and how many there are.
Never:  a leaf's content, a file.
Leaves: roots, inclusion proofs, consistency proofs, and verdicts about them.
Clauses: 7.3(1)3 (the record of what was kept, handed out and erased cannot be rewritten unnoticed).

A node of the tree over ``size`` leaves is named by the half-open run of leaves ``(low, high)`` under it. Memory is
O(log n): a tree keeps only the roots of its complete subtrees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

Node = tuple[int, int]

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(line: bytes) -> bytes:
    """Return the 32-byte hash of a leaf (RFC 6962, 2.1: ``SHA-256(0x00 || line)``)."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node (``SHA-256(0x01 || left || right)``)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps the roots of its complete subtrees, largest first, and nothing else."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (first leaf, root of the complete subtree that begins there)

    def append(self, leaf: bytes, wanted: dict[Node, bytes] | None = None) -> None:
        """Add a 32-byte leaf hash. Nodes completed by it that are keys of ``wanted`` are written there."""
        low, root = self.size, leaf
        self.size += 1
        if wanted is not None and (low, self.size) in wanted:
            wanted[low, self.size] = root
        height = self.size
        while height % 2 == 0:  # each trailing zero of the new size completes one more subtree
            low, left = self._peaks.pop()
            root = node_hash(left, root)
            height //= 2
            if wanted is not None and (low, self.size) in wanted:
                wanted[low, self.size] = root
        self._peaks.append((low, root))

    def root(self, wanted: dict[Node, bytes] | None = None) -> bytes:
        """Return the root over all leaves. Ragged nodes on the way that are keys of ``wanted`` are written there."""
        if not self._peaks:
            return EMPTY_ROOT
        low, root = self._peaks[-1]
        for low, left in reversed(self._peaks[:-1]):
            root = node_hash(left, root)
            if wanted is not None and (low, self.size) in wanted:
                wanted[low, self.size] = root
        return root

    def copy(self) -> Tree:
        """Return a tree that grows on its own from here."""
        twin = Tree()
        twin.size, twin._peaks = self.size, list(self._peaks)
        return twin

    def peaks(self) -> dict[Node, bytes]:
        """Return the roots of the complete subtrees by node, largest first."""
        ends = [*(low for low, _ in self._peaks[1:]), self.size]
        return {(low, high): root for (low, root), high in zip(self._peaks, ends, strict=False)}

    @classmethod
    def from_peaks(cls, peaks: Mapping[Node, bytes]) -> Tree:
        """Return the tree whose complete subtrees are ``peaks``, largest first (see :meth:`peaks`)."""
        tree = Tree()
        tree._peaks = [(low, root) for (low, _), root in peaks.items()]
        tree.size = max((high for _, high in peaks), default=0)
        return tree


def inclusion_nodes(index: int, size: int) -> list[Node]:
    """Return the nodes whose hashes prove leaf ``index`` of ``size`` (RFC 6962, 2.1.1), leaf side first.

    Raises ValueError unless ``0 <= index < size``.
    """
    if not 0 <= index < size:
        message = f"no leaf {index} in a tree of {size}"
        raise ValueError(message)
    low, high, nodes = 0, size, list[Node]()
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            nodes.append((middle, high))
            high = middle
        else:
            nodes.append((low, middle))
            low = middle
    return nodes[::-1]


def consistency_nodes(old: int, size: int) -> list[Node]:
    """Return the nodes whose hashes prove that the tree of ``size`` leaves begins with the tree of ``old`` (2.1.2).

    Raises ValueError unless ``0 < old <= size``.
    """
    if not 0 < old <= size:
        message = f"no consistency of {old} with {size}"
        raise ValueError(message)
    low, high, nodes = 0, size, list[Node]()
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            nodes.append((middle, high))
            high = middle
        else:
            nodes.append((low, middle))
            low = middle
    if low > 0:  # a subtree the verifier cannot rebuild from the old root alone
        nodes.append((low, high))
    return nodes[::-1]


def hashes_of(nodes: Iterable[Node], leaves: Iterable[bytes], size: int) -> dict[Node, bytes]:
    """Return the hash of each of ``nodes`` in the tree over the first ``size`` of ``leaves``, in one pass.

    Raises ValueError for a run of leaves that is no node of that tree, or when there are too few leaves.
    """
    wanted = dict.fromkeys(nodes, b"")
    tree = Tree()
    for leaf in leaves:
        if tree.size == size:
            break
        tree.append(leaf, wanted)
    tree.root(wanted)
    if tree.size != size or not all(wanted.values()):
        message = f"not nodes of a tree of {size} leaves ({tree.size} given)"
        raise ValueError(message)
    return wanted


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether ``proof`` shows the hash ``leaf`` at ``index`` of the tree of ``size`` leaves with ``root``."""
    if not 0 <= index < size:
        return False
    nodes = inclusion_nodes(index, size)
    if len(nodes) != len(proof):
        return False
    built = leaf
    for (low, _), sibling in zip(nodes, proof, strict=True):
        built = node_hash(built, sibling) if low > index else node_hash(sibling, built)
    return built == root


def consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether ``proof`` shows that the tree (``size``, ``root``) only adds leaves to (``old``, ``old_root``)."""
    if not 0 < old <= size:
        return old == 0 and old_root == EMPTY_ROOT and not proof
    nodes = consistency_nodes(old, size)
    if len(nodes) != len(proof):
        return False
    known = dict(zip(nodes, proof, strict=True))
    if all(low >= old for low, _ in nodes):
        known[0, old] = old_root  # the old tree is itself a node of the new one, so that the proof leaves it out
    return _fold(known, 0, old) == old_root and _fold(known, 0, size) == root


def tree_from_proof(old: int, old_root: bytes, size: int, proof: Sequence[bytes]) -> Tree:
    """Return the tree of ``old`` leaves, able to grow, from a proof for which :func:`consistent` holds."""
    nodes = dict(zip(consistency_nodes(old, size), proof, strict=True))
    left = {node: root for node, root in sorted(nodes.items()) if node[1] <= old}
    return Tree.from_peaks(left or {(0, old): old_root})


def _split(count: int) -> int:
    """Return the largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _fold(known: dict[Node, bytes], low: int, high: int) -> bytes | None:
    """Return the hash of a node from the known ones under it, or None where one is missing."""
    found = known.get((low, high))
    if found is not None or high - low == 1:
        return found
    middle = low + _split(high - low)
    left, right = _fold(known, low, middle), _fold(known, middle, high)
    return None if left is None or right is None else node_hash(left, right)
