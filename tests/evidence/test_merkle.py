"""The tree of RFC 6962, against its published vectors and against every proof of every small tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.evidence.merkle import Tree, extends, includes, leaf_hash

VECTOR = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree(size):
    return Tree(leaf_hash(b"entry %d" % n) for n in range(size))


def test_roots_are_those_of_the_certificate_transparency_vectors():
    known = Tree(map(leaf_hash, VECTOR))
    assert [known.root(size).hex() for size in range(1, 9)] == ROOTS
    assert known.root(0).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_holds_for_its_own_leaf_and_size_only(size):
    made = tree(size)
    for number in range(size):
        proof = made.inclusion(number)
        assert includes(made.leaves[number], number, size, proof, made.root())
        assert not includes(leaf_hash(b"other"), number, size, proof, made.root())
        assert not includes(made.leaves[number], number + 1, size, proof, made.root())
        assert not includes(made.leaves[number], number, size, [*proof, bytes(32)], made.root())
        assert not proof or not includes(made.leaves[number], number, size, proof[:-1], made.root())
    for old in range(1, size + 1):
        proof = made.consistency(old)
        assert extends(old, size, made.root(old), made.root(), proof)
        assert not extends(old, size, bytes(32), made.root(), proof)
        assert not extends(old, size, made.root(old), bytes(32), proof)
        assert not proof or not extends(old, size, made.root(old), made.root(), proof[:-1])
        assert not extends(old, size, made.root(old), made.root(), [*proof, bytes(32)])


@given(st.integers(2, 200), st.data())
def test_a_tree_that_was_rewritten_extends_nothing(size, data):
    old = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, old - 1))
    before, after = tree(size), tree(size)
    after.leaves[changed] = leaf_hash(b"changed")
    after = Tree(after.leaves)
    assert not extends(old, size, before.root(old), after.root(), after.consistency(old))


@pytest.mark.parametrize("ask", [lambda t: t.root(6), lambda t: t.inclusion(5), lambda t: t.consistency(6)])
def test_what_a_tree_never_had_is_refused(ask):
    with pytest.raises(ValueError, match="5"):
        ask(tree(5))
