"""Conditions: a tree of typed leaves under all, any, not, at-least, judged in three-valued logic.

A leaf has one key; its value is a scalar (equals), a list (one of) or one operator. `any-task` judges a tree on each
blocked task by itself. No combinator is implied, no expression string is parsed, nothing is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kbmatch.engine import linear_regex
from kbmatch.engine.code_pattern import parse_code_pattern
from kbmatch.engine.document import Mark
from kbmatch.engine.explanation import Explanation, Observed
from kbmatch.engine.index_key import leaf_keys
from kbmatch.engine.logic import Truth, all_of, any_of, at_least, negate
from kbmatch.engine.similarity import Similar, bounds
from kbmatch.engine.values import dataclass

ORDER_OPERATORS: tuple[str, ...] = ("in-order", "adjacent")
OPERATORS: tuple[str, ...] = ("lt", "le", "gt", "ge", "mask", "matches", "contains", "prefix", *ORDER_OPERATORS)
INTEGER_OPERATORS: tuple[str, ...] = ("lt", "le", "gt", "ge", "mask")
LINE_FACTS: tuple[str, ...] = ("text", "log")
MAX_LINES = 3
"""Lines of a log that an explanation keeps, of those that fit."""
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
    """What is known of one fact: its value (None = unknown), where it stands, why it is unknown.

    `ordered` is the sequence that in-order and adjacent look at, where the fact has one.
    """

    value: Observed
    source: str | None = None
    why: str | None = None
    ordered: tuple[str, ...] | None = None


Lookup = Callable[[str], Reading]
"""Hands out what is known of a fact. For any-task it also has a method `tasks`, a lookup for each blocked task."""


def show(value: Observed, hexadecimal: bool = False) -> str:
    """A value for reading: addresses and large numbers in hex, an empty text in words."""
    if value is None:
        return "unknown"
    if isinstance(value, tuple):
        return ", ".join(show(item, hexadecimal) for item in value) or "none"
    if isinstance(value, int):
        return f"0x{value:x}" if hexadecimal or value >= 0x10000 else str(value)
    return value or "the kernel proper"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test of one fact. `operator` is "is" (one of `values`) or one of OPERATORS; mask has (mask, wanted).

    in-order: all values stand in this order, whatever stands between; adjacent: they follow each other directly.
    """

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
        if self.operator in ORDER_OPERATORS:
            return f"{self.fact} has {' < '.join(shown)}" + (" directly" if self.operator == "adjacent" else "")
        return f"{self.fact} {_SIGN.get(self.operator, self.operator)} {shown[0]}"

    def accepts(self, value: int | str) -> bool:
        """Whether one value passes the test; a value of the wrong type does not."""
        if self.operator == "is" and self.fact == "code":
            return any(parse_code_pattern(str(wanted)).matches(str(value)) for wanted in self.values)
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

    def _stands_in(self, names: tuple[int | str, ...]) -> bool:
        if self.operator == "adjacent":
            size = len(self.values)
            return any(names[i : i + size] == self.values for i in range(len(names) - size + 1))
        rest = iter(names)
        return all(value in rest for value in self.values)  # "in" consumes the iterator up to what it finds

    def judge(self, lookup: Lookup) -> Explanation:
        """The leaf's truth on what `lookup` knows."""
        reading = lookup(self.fact)
        observed = reading.value
        if observed is None:
            truth = Truth.UNKNOWN
        elif self.operator in ORDER_OPERATORS:
            names = reading.ordered or (observed if isinstance(observed, tuple) else (observed,))
            truth = Truth.of(self._stands_in(names))
            if truth is Truth.TRUE:
                observed = self.values
        elif self.fact == "code" and self.operator == "is":
            truth = any_of(Truth.of(parse_code_pattern(str(v)).matches(str(observed))) for v in self.values)
        elif isinstance(observed, tuple):
            fitting = tuple(value for value in observed if self.accepts(value))
            truth = Truth.of(bool(fitting))
            if self.fact in LINE_FACTS:  # a log may have a million
                observed = fitting[:MAX_LINES] or f"none of {len(observed)} lines"
            else:
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


MAX_EXPLAINED = 16
"""Tasks whose trees an explanation keeps, the fitting ones first; a log may list hundreds."""


@dataclass(frozen=True, slots=True)
class AnyTask:
    """True if one blocked task satisfies the tree; facts that are not of a task are those of the event."""

    condition: Condition
    mark: Mark | None = None

    @property
    def children(self) -> tuple[Condition, ...]:
        """The tree alone, so that walks over a condition pass through."""
        return (self.condition,)

    def judge(self, lookup: Lookup) -> Explanation:
        """The truth over all tasks; unknown where the event lists none."""
        of_tasks: Callable[[], list[Lookup]] | None = getattr(lookup, "tasks", None)
        trees = [self.condition.judge(one) for one in of_tasks()] if of_tasks is not None else []
        if not trees:
            wanted = self.condition.judge(lambda name: Reading(None, why="no blocked task in the input"))
            return Explanation(Truth.UNKNOWN, "any task", why="no blocked task in the input", children=(wanted,))
        truth = any_of(tree.truth for tree in trees)
        order = (Truth.TRUE, Truth.UNKNOWN, Truth.FALSE)
        trees.sort(key=lambda tree: order.index(tree.truth))
        return Explanation(truth, "any task", children=tuple(trees[:MAX_EXPLAINED]))


Condition = Leaf | Combination | AnyTask | Similar


def leaves(condition: Condition) -> Iterator[Leaf]:
    """All leaves that test a fact, in the order of the rule; scored leaves are none."""
    if isinstance(condition, Leaf):
        yield condition
    elif not isinstance(condition, Similar):
        for child in condition.children:
            yield from leaves(child)


def index_entries(condition: Condition, selective: frozenset[str]) -> frozenset[tuple[str, str]]:
    """The pairs (fact, key) by which the rule is looked up: of every leaf of a selective fact, not under "not".

    Of names in an order the first, innermost one is enough: the others stand there too, or the leaf is not true.
    """
    if isinstance(condition, Leaf):
        if condition.fact not in selective:
            return frozenset()
        if condition.operator in ORDER_OPERATORS:
            return frozenset({(condition.fact, str(condition.values[0]))})
        keys = leaf_keys(condition.fact, condition.operator, condition.values)
        return frozenset((condition.fact, key) for key in keys)
    if isinstance(condition, Similar) or (isinstance(condition, Combination) and condition.combinator == "not"):
        return frozenset()
    return frozenset().union(*(index_entries(child, selective) for child in condition.children))


def is_indexable(
    condition: Condition, selective: frozenset[str], useful: Callable[[str, str], bool] = lambda fact, value: True
) -> bool:
    """Whether the condition cannot be true without one of its index entries being true.

    A rule that is not would have to be tried on every crash. With `useful`, leaves of which one value is not useful to
    look rules up by (the name of a helper) do not count.
    """
    if isinstance(condition, Leaf):
        if condition.operator in ORDER_OPERATORS:
            return condition.fact in selective and any(useful(condition.fact, str(v)) for v in condition.values)
        entries = index_entries(condition, selective)
        return bool(entries) and all(useful(fact, value) for fact, value in entries)
    if isinstance(condition, Similar):
        return True  # looked up by its functions, see similar_entries
    able = sum(is_indexable(child, selective, useful) for child in condition.children)
    if isinstance(condition, AnyTask):
        return able > 0
    if condition.combinator == "all":
        return able > 0
    if condition.combinator == "at-least":
        # `count` hold, so one of any n - count + 1 children does
        return able > len(condition.children) - condition.count
    return condition.combinator == "any" and able == len(condition.children)


def similar_entries(condition: Condition) -> dict[str, float]:
    """For each function the most that it can add to the score of a scored leaf, not under "not"; the highest counts."""
    if isinstance(condition, Similar):
        return bounds(condition)
    if isinstance(condition, Leaf) or (isinstance(condition, Combination) and condition.combinator == "not"):
        return {}
    found: dict[str, float] = {}
    for child in condition.children:
        for name, bound in similar_entries(child).items():
            found[name] = max(bound, found.get(name, 0.0))
    return found
