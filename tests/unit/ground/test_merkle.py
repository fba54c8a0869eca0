"""The incremental tree against the definition of RFC 6962 written out plainly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.ground import merkle

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "ledger_merkle.json").read_text())


def plain_root(lines: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word by word."""
    if not lines:
        return hashlib.sha256(b"").digest()
    if len(lines) == 1:
        return hashlib.sha256(b"\x00" + lines[0]).digest()
    k = 1
    while k * 2 < len(lines):
        k *= 2
    return hashlib.sha256(b"\x01" + plain_root(lines[:k]) + plain_root(lines[k:])).digest()


def plain_path(m: int, lines: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(lines) == 1:
        return []
    k = 1
    while k * 2 < len(lines):
        k *= 2
    if m < k:
        return [*plain_path(m, lines[:k]), plain_root(lines[k:])]
    return [*plain_path(m - k, lines[k:]), plain_root(lines[:k])]


def plain_proof(m: int, lines: list[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of RFC 6962, 2.1.2."""
    if m == len(lines):
        return [] if whole else [plain_root(lines)]
    k = 1
    while k * 2 < len(lines):
        k *= 2
    if m <= k:
        return [*plain_proof(m, lines[:k], whole=whole), plain_root(lines[k:])]
    return [*plain_proof(m - k, lines[k:], whole=False), plain_root(lines[:k])]


def grown(lines: list[bytes]) -> merkle.Tree:
    tree = merkle.Tree()
    for line in lines:
        tree.append(merkle.leaf_hash(line))
    return tree


def inclusion(index: int, lines: list[bytes]) -> list[bytes]:
    nodes = merkle.inclusion_nodes(index, len(lines))
    hashes = merkle.hashes_of(nodes, map(merkle.leaf_hash, lines), len(lines))
    return [hashes[node] for node in nodes]


def consistency(old: int, lines: list[bytes]) -> list[bytes]:
    nodes = merkle.consistency_nodes(old, len(lines))
    hashes = merkle.hashes_of(nodes, map(merkle.leaf_hash, lines), len(lines))
    return [hashes[node] for node in nodes]


def test_the_roots_everybody_knows() -> None:
    lines = [bytes.fromhex(text) for text in VECTORS["leaves"]]
    assert merkle.Tree().root() == plain_root([]) == hashlib.sha256(b"").digest()
    for size, known in enumerate(VECTORS["roots"], start=1):
        assert grown(lines[:size]).root().hex() == plain_root(lines[:size]).hex() == known


def test_every_proof_of_every_small_tree_is_the_one_rfc_6962_defines() -> None:
    lines = [str(number).encode() for number in range(35)]
    for size in range(1, len(lines) + 1):
        some = lines[:size]
        root = plain_root(some)
        assert grown(some).root() == root
        for index in range(size):
            proof = inclusion(index, some)
            assert proof == plain_path(index, some)
            assert merkle.included(merkle.leaf_hash(some[index]), index, size, proof, root)
        for old in range(1, size + 1):
            proof = consistency(old, some)
            assert proof == plain_proof(old, some)
            assert merkle.consistent(old, plain_root(some[:old]), size, root, proof)


def flip(proof: list[bytes], at: int) -> list[bytes]:
    wrong = list(proof)
    wrong[at] = bytes((wrong[at][0] ^ 1,)) + wrong[at][1:]
    return wrong


@settings(max_examples=150, deadline=None)
@given(data=st.data(), size=st.integers(2, 90))
def test_a_false_inclusion_is_never_believed(data: st.DataObject, size: int) -> None:
    lines = [str(number).encode() for number in range(size)]
    root = plain_root(lines)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index))
    proof = inclusion(index, lines)
    leaf = merkle.leaf_hash(lines[index])
    assert not merkle.included(merkle.leaf_hash(lines[other]), index, size, proof, root)
    assert not merkle.included(leaf, other, size, proof, root)
    assert not merkle.included(leaf, index, size, proof[:-1], root)
    assert not merkle.included(leaf, index, size, [*proof, root], root)
    assert not merkle.included(leaf, size, size, proof, root)
    assert not merkle.included(leaf, -1, size, proof, root)
    assert not merkle.included(leaf, index, size, flip(proof, data.draw(st.integers(0, len(proof) - 1))), root)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), size=st.integers(2, 90))
def test_a_rewritten_past_is_never_consistent(data: st.DataObject, size: int) -> None:
    lines = [str(number).encode() for number in range(size)]
    old = data.draw(st.integers(1, size))
    rewritten = list(lines)
    rewritten[data.draw(st.integers(0, old - 1))] = b"another"
    old_root, new_root = plain_root(lines[:old]), plain_root(rewritten)
    for proof in (consistency(old, rewritten), consistency(old, lines)):
        assert not merkle.consistent(old, old_root, size, new_root, proof)
    good = consistency(old, lines)
    assert not merkle.consistent(old, old_root, size, plain_root(lines), [*good, old_root])
    if good:
        assert not merkle.consistent(old, old_root, size, plain_root(lines), good[1:])
        at = data.draw(st.integers(0, len(good) - 1))
        assert not merkle.consistent(old, old_root, size, plain_root(lines), flip(good, at))


def test_an_empty_tree_is_the_beginning_of_every_tree() -> None:
    root = plain_root([b"a"])
    assert merkle.consistent(0, merkle.EMPTY_ROOT, 1, root, [])
    assert not merkle.consistent(0, root, 1, root, [])
    assert not merkle.consistent(2, root, 1, root, [])


def test_a_copy_grows_on_its_own() -> None:
    tree = grown([b"a", b"b", b"c"])
    twin = tree.copy()
    twin.append(merkle.leaf_hash(b"d"))
    assert (tree.size, tree.root()) == (3, plain_root([b"a", b"b", b"c"]))
    assert twin.root() == plain_root([b"a", b"b", b"c", b"d"])


def test_nodes_outside_the_tree_are_refused() -> None:
    leaves = [merkle.leaf_hash(b"a")] * 3
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_nodes(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no consistency"):
            merkle.consistency_nodes(old, size)
    with pytest.raises(ValueError, match="not nodes"):
        merkle.hashes_of([(1, 3)], leaves, 3)  # crosses the split of the tree
    with pytest.raises(ValueError, match="not nodes"):
        merkle.hashes_of([(0, 2)], leaves, 4)  # too few leaves
