"""Conditions: leaves and combinations in three-valued logic, and what they can be looked up by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.condition import Combination, Condition, Leaf, Reading, index_entries, is_indexable
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.logic import Truth

SELECTIVE = frozenset({"symbol", "frame"})


def judge(condition: Condition, **facts: object) -> Truth:
    return condition.judge(lambda name: Reading(facts.get(name.replace("-", "_")))).truth  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        ("is", (1, 2), 2, True),
        ("is", (1, 2), 3, False),
        ("is", ("a",), "a", True),
        ("lt", (5,), 4, True),
        ("lt", (5,), 5, False),
        ("le", (5,), 5, True),
        ("gt", (5,), 5, False),
        ("ge", (5,), 5, True),
        ("mask", (0xF00, 0x300), 0x1345, True),
        ("mask", (0xF00, 0x300), 0x1445, False),
        ("prefix", ("xen",), "xennet_poll", True),
        ("contains", ("net_",), "xennet_poll", True),
        ("contains", ("blk",), "xennet_poll", False),
        ("matches", (r"^xen\w+_poll$",), "xennet_poll", True),
        ("matches", (r"^poll",), "xennet_poll", False),
        ("lt", (5,), "a text", False),
        ("prefix", ("1",), 12, False),
    ],
)
def test_operators(operator: str, values: tuple[int | str, ...], value: int | str, expected: bool) -> None:
    leaf = Leaf("fact", operator, values)
    assert judge(leaf, fact=value) is Truth.of(expected)


def test_a_missing_fact_is_unknown_and_does_not_satisfy_a_not() -> None:
    leaf = Leaf("fact", "is", (1,))
    assert judge(leaf) is Truth.UNKNOWN
    assert judge(Combination("not", (leaf,))) is Truth.UNKNOWN


def test_a_fact_with_several_values_fits_if_one_does() -> None:
    leaf = Leaf("frame", "is", ("b",))
    assert judge(leaf, frame=("a", "b")) is Truth.TRUE
    assert judge(leaf, frame=("a", "c")) is Truth.FALSE


def test_the_explanation_names_value_and_source() -> None:
    tree = Combination("all", (Leaf("address", "is", (8, 44), hexadecimal=True),)).judge(
        lambda name: Reading(44, "line 3")
    )
    leaf = tree.children[0]
    assert (leaf.label, leaf.observed, leaf.source) == ("address is 0x8 or 0x2c", 44, "line 3")


def test_decisive_leaves_are_those_that_made_the_tree_what_it_is() -> None:
    tree = Combination("all", (Leaf("a", "is", (1,)), Leaf("b", "is", (1,)), Leaf("c", "is", (1,))))
    explained = tree.judge(lambda name: Reading({"a": 1, "b": 2}.get(name)))
    assert [leaf.fact for leaf in explained.decisive()] == ["b"]


CONDITIONS = st.recursive(
    st.builds(
        lambda fact, value: Leaf(fact, "is", (value,)),
        st.sampled_from(["symbol", "frame", "kind"]),
        st.sampled_from(["x", "y"]),
    ),
    lambda children: st.one_of(
        st.builds(lambda c: Combination("all", tuple(c)), st.lists(children, min_size=1, max_size=3)),
        st.builds(lambda c: Combination("any", tuple(c)), st.lists(children, min_size=1, max_size=3)),
        st.builds(lambda c: Combination("not", (c,)), children),
        st.builds(lambda c: Combination("at-least", tuple(c), (len(c) + 1) // 2), st.lists(children, min_size=1)),
    ),
    max_leaves=8,
)
FACTS = st.fixed_dictionaries({name: st.sampled_from(["x", "y", "z", None]) for name in ("symbol", "frame", "kind")})


@given(CONDITIONS, FACTS)
def test_an_indexable_condition_is_never_true_without_one_of_its_entries(
    condition: Condition, facts: dict[str, str | None]
) -> None:
    if is_indexable(condition, SELECTIVE) and judge(condition, **facts) is Truth.TRUE:
        present = {(name, value) for name, value in facts.items() if value is not None}
        assert present & index_entries(condition, SELECTIVE)


def test_an_explanation_keeps_few_lines_of_a_log() -> None:
    lines = tuple(f"I/O error, dev sd{number}" for number in range(1000))
    found = judge_tree(Leaf("log", "contains", ("I/O error",)), lines)
    assert (found.truth, found.observed) == (Truth.TRUE, lines[:3])
    found = judge_tree(Leaf("text", "contains", ("nothing such",)), lines)
    assert (found.truth, found.observed) == (Truth.FALSE, "none of 1000 lines")


def judge_tree(condition: Condition, value: tuple[str, ...]) -> Explanation:
    return condition.judge(lambda _: Reading(value))
