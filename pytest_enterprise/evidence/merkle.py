"""A Merkle tree as in RFC 6962: one hash for all entries, and short proofs of inclusion and of consistency.

Part of the single-file verifier: the standard library only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two hashes; other than a leaf's, so that no entry can pass for a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The tree over leaf hashes, at any size that it once had; full subtrees are computed once."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.leaves = list(leaves)
        self._full: dict[tuple[int, int], bytes] = {}

    def root(self, size: int | None = None) -> bytes:
        """The root over the first ``size`` leaves, all by default. Raises ValueError where there are fewer."""
        return self._hash(0, self._sized(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The hashes that lead from a leaf to the root over ``size`` leaves."""
        size = self._sized(size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} among {size}")
        proof, low, high = [], 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._hash(middle, high))
                high = middle
            else:
                proof.append(self._hash(low, middle))
                low = middle
        return proof[::-1]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """The hashes which show that the tree of ``size`` leaves begins with the tree of ``old`` leaves."""
        size = self._sized(size)
        if not 0 <= old <= size:
            raise ValueError(f"a tree of {size} leaves never began with {old}")
        if old in (0, size):
            return []
        proof, low, high, whole = [], 0, size, True
        while old != high:
            middle = low + _split(high - low)
            if old <= middle:
                proof.append(self._hash(middle, high))
                high = middle
            else:
                proof.append(self._hash(low, middle))
                low, whole = middle, False
        return ([] if whole else [self._hash(low, high)]) + proof[::-1]

    def _sized(self, size: int | None) -> int:
        if size is None:
            return len(self.leaves)
        if not 0 <= size <= len(self.leaves):
            raise ValueError(f"there are {len(self.leaves)} leaves, not {size}")
        return size

    def _hash(self, low: int, high: int) -> bytes:
        count = high - low
        if count == 0:
            return hashlib.sha256().digest()
        if count == 1:
            return self.leaves[low]
        if (low, high) in self._full:
            return self._full[low, high]
        middle = low + _split(count)
        value = node_hash(self._hash(low, middle), self._hash(middle, high))
        if count & (count - 1) == 0:
            self._full[low, high] = value
        return value


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether a proof shows that ``leaf`` is at ``index`` of the tree of ``size`` leaves with this root."""
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, leaf
    for hash in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(hash, value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, hash)
        at, last = at >> 1, last >> 1
    return last == 0 and value == root


def extends(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of ``size`` leaves begins with the one of ``old`` leaves."""
    if not 0 < old <= size:
        return old == 0 and not proof
    if old == size:
        return not proof and old_root == root
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = hashes[0]
    for hash in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(hash, first), node_hash(hash, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, hash)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == root
