"""Kleene's logic: unknown never becomes false and never satisfies a not."""

from __future__ import annotations

from itertools import product

import pytest

from kbmatch.engine.logic import Truth, all_of, any_of, at_least, negate

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


def test_negation_keeps_unknown() -> None:
    assert [negate(t) for t in (T, F, U)] == [F, T, U]


@pytest.mark.parametrize(("left", "right"), list(product((T, F, U), repeat=2)))
def test_and_or_follow_kleene(left: Truth, right: Truth) -> None:
    order = [F, U, T]
    assert all_of([left, right]) is min(left, right, key=order.index)
    assert any_of([left, right]) is max(left, right, key=order.index)


def test_nothing_is_all_true_and_not_any_true() -> None:
    assert all_of([]) is T
    assert any_of([]) is F


@pytest.mark.parametrize(
    ("count", "truths", "expected"),
    [(2, [T, T, F], T), (2, [T, U, F], U), (2, [T, F, F], F), (2, [U, U, U], U), (1, [F, U], U)],
)
def test_at_least_counts_what_could_still_become_true(count: int, truths: list[Truth], expected: Truth) -> None:
    assert at_least(count, truths) is expected
