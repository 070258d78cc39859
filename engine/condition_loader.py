"""From a document to a Condition, with every mistake reported at its place."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from typing import Protocol

from kbmatch.engine import linear_regex
from kbmatch.engine.code_pattern import parse_code_pattern
from kbmatch.engine.condition import (
    INTEGER_OPERATORS,
    OPERATORS,
    ORDER_OPERATORS,
    TEXT_OPERATORS,
    AnyTask,
    Combination,
    Condition,
    Leaf,
)
from kbmatch.engine.document import Mapping, Node, Problems, Scalar, Sequence, nearest
from kbmatch.engine.facts import FACTS
from kbmatch.engine.similar_loader import SIMILAR, load_similar

COMBINATORS: tuple[str, ...] = ("all", "any", "not", "at-least")
ANY_TASK = "any-task"
MAX_DEPTH = 20
MAX_ORDERED = 20
U64 = (1 << 64) - 1


class Vocabulary(Protocol):
    """The names that leaves may use."""

    def type_of(self, name: str) -> str | None:
        """ "integer", "text" or "either"; None for a name that does not exist."""
        ...

    def closed_values(self, name: str) -> tuple[str, ...]:
        """The only values that a text may have; empty where open."""
        ...

    def is_hexadecimal(self, name: str) -> bool:
        """Whether values are shown in hex."""
        ...

    def names(self) -> tuple[str, ...]:
        """All names, for the hint in an error."""
        ...

    def why_refused(self, name: str) -> str | None:
        """Why a name that exists may not stand in this condition, None if it may."""
        ...

    def is_ordered(self, name: str) -> bool:
        """Whether in-order and adjacent may be asked of it."""
        ...

    def of_task(self) -> Vocabulary | None:
        """What may stand under any-task; None where any-task makes no sense."""
        ...

    @property
    def unknown_code(self) -> str:
        """The code of the problem that a name does not exist."""
        ...


class EventVocabulary:
    """The facts of engine/facts.py. With `signature`, those that differ from build to build are refused; `task` is True
    under any-task.
    """

    unknown_code = "unknown-fact"

    def __init__(self, *, signature: bool = False, task: bool = False) -> None:
        self._signature = signature
        self._task = task

    def why_refused(self, name: str) -> str | None:
        """See Vocabulary."""
        if self._signature and not FACTS[name].in_signature:
            return f"{name!r} differs from build to build: it belongs in the rule's test, not in its signature"
        return None

    def is_ordered(self, name: str) -> bool:
        """See Vocabulary."""
        return FACTS[name].ordered == ("task" if self._task and name.startswith("task-") else "event")

    def of_task(self) -> Vocabulary | None:
        """See Vocabulary."""
        return None if self._task else EventVocabulary(signature=self._signature, task=True)

    def type_of(self, name: str) -> str | None:
        """See Vocabulary."""
        return FACTS[name].type if name in FACTS else None

    def closed_values(self, name: str) -> tuple[str, ...]:
        """See Vocabulary."""
        return FACTS[name].closed

    def is_hexadecimal(self, name: str) -> bool:
        """See Vocabulary."""
        return FACTS[name].hexadecimal

    def names(self) -> tuple[str, ...]:
        """See Vocabulary."""
        return tuple(FACTS)


class RecordVocabulary:
    """The fields of one probe's records; `fields` maps name to type."""

    unknown_code = "unknown-field"

    def __init__(self, fields: MappingType[str, str]) -> None:
        self._fields = fields

    def why_refused(self, name: str) -> str | None:
        """See Vocabulary: all fields may stand."""
        return None

    def is_ordered(self, name: str) -> bool:
        """See Vocabulary: records have no order."""
        return False

    def of_task(self) -> Vocabulary | None:
        """See Vocabulary: a record has no tasks."""
        return None

    def type_of(self, name: str) -> str | None:
        """See Vocabulary."""
        return self._fields.get(name)

    def closed_values(self, name: str) -> tuple[str, ...]:
        """See Vocabulary: record fields are open."""
        return ()

    def is_hexadecimal(self, name: str) -> bool:
        """See Vocabulary: numbers above 64 KiB are shown in hex anyway."""
        return False

    def names(self) -> tuple[str, ...]:
        """See Vocabulary."""
        return tuple(self._fields)


def load_condition(node: Node | None, problems: Problems, vocabulary: Vocabulary, depth: int = 0) -> Condition | None:
    """The condition, or None after noting what is wrong with it."""
    if node is None:
        return None
    if depth > MAX_DEPTH:
        problems.add(node, "too-deep", f"conditions nest at most {MAX_DEPTH} deep")
        return None
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        problems.add(node, "bad-condition", "a condition is one key: a fact, or all, any, not, at-least")
        return None
    name, value = node.entries[0]
    key = str(name.value)
    if key in COMBINATORS:
        return _load_combination(key, node, value, problems, vocabulary, depth)
    if key == ANY_TASK and (inner := vocabulary.of_task()) is not None:
        child = load_condition(value, problems, inner, depth + 1)
        return child and AnyTask(child, name.mark)
    if key == SIMILAR and vocabulary.of_task() is not None:
        return load_similar(value, problems, name.mark)
    type_ = vocabulary.type_of(key)
    if type_ is None:
        known = vocabulary.names()
        hint = nearest(key, (*COMBINATORS, ANY_TASK, *known)) or f"; known are {', '.join(known)}"
        what = "fact" if vocabulary.unknown_code == "unknown-fact" else "field of this probe"
        problems.add(name, vocabulary.unknown_code, f"there is no {what} {key!r}{hint}")
        return None
    if (why := vocabulary.why_refused(key)) is not None:
        problems.add(name, "build-offset", why)
        return None
    return _load_leaf(key, type_, name, value, problems, vocabulary)


def _load_combination(
    key: str, node: Mapping, value: Node, problems: Problems, vocabulary: Vocabulary, depth: int
) -> Condition | None:
    count = 0
    if key == "at-least":
        listed = value.get("of") if isinstance(value, Mapping) else None
        number = value.get("count") if isinstance(value, Mapping) else None
        if not isinstance(listed, Sequence) or not isinstance(number, Scalar) or type(number.value) is not int:
            problems.add(value, "bad-condition", "write at-least: {count: N, of: [conditions]}")
            return None
        count, value = number.value, listed
        if not 1 <= count <= len(listed.items):
            problems.add(number, "bad-condition", f"count must be from 1 to {len(listed.items)}")
            return None
    if key == "not":
        child = load_condition(value, problems, vocabulary, depth + 1)
        return child and Combination("not", (child,), mark=node.mark)
    if not isinstance(value, Sequence) or not value.items:
        problems.add(value, "bad-condition", f"{key!r} needs a list of conditions")
        return None
    loaded = [load_condition(item, problems, vocabulary, depth + 1) for item in value.items]
    children = tuple(child for child in loaded if child is not None)
    return Combination(key, children, count, node.mark) if len(children) == len(loaded) else None


def _load_leaf(
    key: str, type_: str, name: Scalar, value: Node, problems: Problems, vocabulary: Vocabulary
) -> Leaf | None:
    hexadecimal = vocabulary.is_hexadecimal(key)
    if isinstance(value, Mapping):
        if len(value.entries) != 1 or value.entries[0][0].value not in OPERATORS:
            problems.add(value, "bad-operator", f"{key!r} takes one operator of {', '.join(OPERATORS)}")
            return None
        operator, operand = str(value.entries[0][0].value), value.entries[0][1]
        if operator in ORDER_OPERATORS:
            return _load_order(key, operator, operand, problems, vocabulary, name)
        return _load_operator(key, type_, operator, operand, problems, hexadecimal, name)
    nodes = value.items if isinstance(value, Sequence) else (value,)
    if not nodes:
        problems.add(value, "bad-value", f"{key!r} has an empty list, which nothing fits")
        return None
    values = [_load_value(key, type_, item, problems, vocabulary.closed_values(key)) for item in nodes]
    kept = tuple(v for v in values if v is not None)
    if key == "code":
        for item, text in zip(nodes, kept, strict=False):
            try:
                parse_code_pattern(str(text))
            except ValueError as error:
                problems.add(item, "bad-code", str(error))
                return None
    return Leaf(key, "is", kept, hexadecimal, name.mark) if len(kept) == len(values) else None


def _load_order(
    key: str, operator: str, operand: Node, problems: Problems, vocabulary: Vocabulary, name: Scalar
) -> Leaf | None:
    if not vocabulary.is_ordered(key):
        problems.add(operand, "bad-operator", f"{operator!r} is for frames, {key!r} has no order here")
        return None
    if not isinstance(operand, Sequence) or not 2 <= len(operand.items) <= MAX_ORDERED:
        problems.add(
            operand, "bad-operator", f"write {operator}: [INNERMOST, ..., OUTERMOST], 2 to {MAX_ORDERED} functions"
        )
        return None
    loaded = [_load_value(key, "text", item, problems, ()) for item in operand.items]
    kept = tuple(value for value in loaded if value is not None)
    return Leaf(key, operator, kept, mark=name.mark) if len(kept) == len(loaded) else None


def _load_operator(
    key: str, type_: str, operator: str, operand: Node, problems: Problems, hexadecimal: bool, name: Scalar
) -> Leaf | None:
    wanted = "integer" if operator in INTEGER_OPERATORS else "text"
    if type_ not in (wanted, "either"):
        problems.add(operand, "bad-operator", f"{operator!r} is for {wanted}s, {key!r} is {type_}")
        return None
    if operator == "mask":
        nodes = operand.items if isinstance(operand, Sequence) else ()
        loaded = [_load_value(key, "integer", item, problems, ()) for item in nodes]
        if len(loaded) != 2 or None in loaded:
            problems.add(operand, "bad-operator", "write mask: [MASK, WANTED]")
            return None
        return Leaf(key, operator, tuple(v for v in loaded if v is not None), hexadecimal, name.mark)
    value = _load_value(key, wanted, operand, problems, ())
    if value is None:
        return None
    if operator in TEXT_OPERATORS and not value:
        problems.add(operand, "bad-value", f"{operator!r} needs some text")
        return None
    if operator == "matches" and (why := linear_regex.why_not_linear(str(value))):
        problems.add(operand, "bad-regex", f"this pattern cannot be used: {why}")
        return None
    return Leaf(key, operator, (value,), hexadecimal, name.mark)


def _load_value(key: str, type_: str, node: Node, problems: Problems, closed: tuple[str, ...]) -> int | str | None:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool):
        if type_ == "text":
            problems.add(node, "unquoted", f"{key!r} is text: put {value!r} in quotes")
            return None
        if not 0 <= value <= U64:
            problems.add(node, "bad-value", f"{key!r} is an unsigned 64-bit number")
            return None
        return value
    if isinstance(value, str):
        if type_ == "integer":
            problems.add(node, "bad-value", f"{key!r} is a number, {value!r} is not")
            return None
        if closed and value not in closed:
            problems.add(node, "bad-value", f"{key!r} has no value {value!r}{nearest(value, closed)}")
            return None
        return value
    problems.add(node, "bad-value", f"{key!r} needs a {'number' if type_ == 'integer' else 'string'}")
    return None
