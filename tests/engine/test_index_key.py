"""Keys that rules are looked up by: whatever makes a leaf true is found under one of the leaf's keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.condition import Leaf
from kbmatch.engine.index_key import leaf_keys, value_keys

WORDS = st.text(alphabet="ab: _", min_size=1, max_size=12)


@given(fact=st.sampled_from(["panic", "culprit-module", "symbol"]), wanted=WORDS, rest=WORDS, whole=st.booleans())
def test_what_makes_a_leaf_true_has_one_of_its_keys(fact: str, wanted: str, rest: str, whole: bool) -> None:
    leaf = Leaf(fact, "is" if whole else "prefix", (wanted,))
    keys = leaf_keys(fact, leaf.operator, leaf.values)
    value = wanted if whole else wanted + rest
    assert leaf.accepts(value)
    assert not keys or keys & set(value_keys(fact, value))


@pytest.mark.parametrize(
    ("fact", "operator", "value", "keys"),
    [
        ("panic", "is", "NMI: Not continuing", {"NMI: Not"}),
        ("panic", "prefix", "NMI: Not", {"NMI:"}),
        ("panic", "prefix", "NMI: Not ", {"NMI: Not"}),
        ("panic", "prefix", "VFS: Unable to mount", {"VFS: Unable"}),
        ("panic", "prefix", "VF", set()),
        ("panic", "matches", "VFS: .*", set()),
        ("culprit-module", "prefix", "falcon_lsm", {"falcon_"}),
        ("culprit-module", "prefix", "falcon", set()),
        ("culprit-module", "is", "", set()),
        ("kind", "is", "mce", {"mce"}),
        ("kind", "is", "null-deref", set()),
        ("symbol", "is", "xennet_poll", {"xennet_poll"}),
    ],
)
def test_keys_of_a_leaf(fact: str, operator: str, value: str, keys: set[str]) -> None:
    assert leaf_keys(fact, operator, (value,)) == keys


def test_one_value_without_a_key_leaves_the_leaf_without_any() -> None:
    assert leaf_keys("kind", "is", ("mce", "null-deref")) == frozenset()
    assert leaf_keys("kind", "is", ("mce", "oom")) == {"mce", "oom"}


def test_a_module_that_bears_its_vendors_version_is_found_by_its_first_word() -> None:
    assert list(value_keys("culprit-module", "symev_rh_ES_6_2_6_32")) == ["symev_rh_ES_6_2_6_32", "symev_"]
    assert list(value_keys("culprit-module", "nvidia")) == ["nvidia"]
    assert list(value_keys("culprit-module", "_odd")) == ["_odd"]
    assert list(value_keys("culprit-module", "")) == []
