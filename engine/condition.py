"""
Conditions: a tree of typed leaves under all, any, not, at-least, judged in three-valued logic.

A leaf has one key; its value is a scalar (equals), a list (one of) or one operator. No combinator is implied, no
expression string is parsed, nothing is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kbmatch.engine import linear_regex
from kbmatch.engine.document import Mark
from kbmatch.engine.explanation import Explanation, Observed
from kbmatch.engine.logic import Truth, all_of, any_of, at_least, negate

OPERATORS: tuple[str, ...] = ("lt", "le", "gt", "ge", "mask", "matches", "contains", "prefix")
INTEGER_OPERATORS: tuple[str, ...] = ("lt", "le", "gt", "ge", "mask")
TEXT_OPERATORS: tuple[str, ...] = ("matches", "contains", "prefix")

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_SIGN = {"lt": "below", "le": "at most", "gt": "above", "ge": "at least"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one fact: its value (None = unknown), where it stands, why it is unknown."""

    value: Observed
    source: str | None = None
    why: str | None = None


Lookup = Callable[[str], Reading]


def show(value: Observed, hexadecimal: bool = False) -> str:
    """A value for reading: addresses and large numbers in hex, an empty text in words."""
    if value is None:
        return "unknown"
    if isinstance(value, tuple):
        return ", ".join(show(item, hexadecimal) for item in value)
    if isinstance(value, int):
        return f"0x{value:x}" if hexadecimal or value >= 0x10000 else str(value)
    return value or "the kernel proper"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test of one fact. `operator` is "is" (one of `values`) or one of OPERATORS; mask has (mask, wanted)."""

    fact: str
    operator: str
    values: tuple[int | str, ...]
    hexadecimal: bool = False
    mark: Mark | None = None

    def label(self) -> str:
        """The test in words."""
        shown = [show(value, self.hexadecimal) for value in self.values]
        if self.operator == "is":
            listed = shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]
            return f"{self.fact} is {listed}"
        if self.operator == "mask":
            return f"{self.fact} & {shown[0]} is {shown[1]}"
        return f"{self.fact} {_SIGN.get(self.operator, self.operator)} {shown[0]}"

    def accepts(self, value: int | str) -> bool:
        """Whether one value passes the test; a value of the wrong type does not."""
        if self.operator == "is":
            return value in self.values
        first = self.values[0]
        if isinstance(value, int) and isinstance(first, int):
            if self.operator == "mask":
                return value & first == self.values[1]
            return self.operator in _COMPARE and _COMPARE[self.operator](value, first)
        if isinstance(value, str) and isinstance(first, str):
            if self.operator == "matches":
                return linear_regex.search(first, value)
            if self.operator == "prefix":
                return value.startswith(first)
            return self.operator == "contains" and first in value
        return False

    def judge(self, lookup: Lookup) -> Explanation:
        """The leaf's truth on what `lookup` knows."""
        reading = lookup(self.fact)
        observed = reading.value
        if observed is None:
            truth = Truth.UNKNOWN
        elif isinstance(observed, tuple):
            fitting = tuple(value for value in observed if self.accepts(value))
            truth = Truth.of(bool(fitting))
            observed = fitting or observed
        else:
            truth = Truth.of(self.accepts(observed))
        return Explanation(truth, self.label(), self.fact, observed, reading.source, reading.why)


@dataclass(frozen=True, slots=True)
class Combination:
    """all, any, not (one child), or at-least (`count` of the children)."""

    combinator: str
    children: tuple[Condition, ...]
    count: int = 0
    mark: Mark | None = None

    def judge(self, lookup: Lookup) -> Explanation:
        """The node's truth with all children's explanations (none is skipped: the reader wants them all)."""
        children = tuple(child.judge(lookup) for child in self.children)
        truths = [child.truth for child in children]
        label = self.combinator
        if self.combinator == "all":
            truth = all_of(truths)
        elif self.combinator == "any":
            truth = any_of(truths)
        elif self.combinator == "not":
            truth = negate(truths[0])
        else:
            truth = at_least(self.count, truths)
            label = f"at least {self.count} of"
        return Explanation(truth, label, children=children)


Condition = Leaf | Combination


def leaves(condition: Condition) -> Iterator[Leaf]:
    """All leaves, in the order of the rule."""
    if isinstance(condition, Leaf):
        yield condition
    else:
        for child in condition.children:
            yield from leaves(child)


def index_entries(condition: Condition, selective: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The pairs (fact, value) by which the rule is looked up: every "is" leaf of a selective fact, not under "not"."""
    if isinstance(condition, Leaf):
        if condition.fact in selective and condition.operator == "is":
            return frozenset((condition.fact, str(value)) for value in condition.values)
        return frozenset()
    if condition.combinator == "not":
        return frozenset()
    return frozenset().union(*(index_entries(child, selective) for child in condition.children))


def is_indexable(condition: Condition, selective: frozenset[str]) -> bool:
    """
    Whether the condition cannot be true without one of its index entries being true.

    A rule that is not would have to be tried on every crash.
    """
    if isinstance(condition, Leaf):
        return bool(index_entries(condition, selective))
    able = sum(is_indexable(child, selective) for child in condition.children)
    if condition.combinator == "all":
        return able > 0
    if condition.combinator == "at-least":
        # `count` hold, so one of any n - count + 1 children does
        return able > len(condition.children) - condition.count
    return condition.combinator == "any" and able == len(condition.children)
