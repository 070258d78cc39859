"""Logic traps: conditions that are always true, can never be true, or say nothing.

A tree is walked with what its surroundings demand already, so that a branch of an `any` that contradicts the `all`
around it is found too. Facts with several values (frame, text) contradict each other only where one leaf demands what
another forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kbmatch.engine.condition import AnyTask, Combination, Condition, Leaf
from kbmatch.engine.document import Mark
from kbmatch.engine.facts import FACTS
from kbmatch.engine.similarity import Similar
from kbmatch.engine.values import dataclass, replace

U64 = (1 << 64) - 1
Trap = tuple[Mark | None, str, str]
"""Where, code, message."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What values a name may have: several at once or not, only out of a list, from which number on."""

    many: bool = False
    closed: tuple[str, ...] = ()
    lowest: int | None = None


def fact_domain(name: str) -> Domain:
    """The domain of a fact of the registry; of task facts the one they have under any-task."""
    fact = FACTS[name]
    return Domain(fact.many, fact.closed, 0 if fact.type == "integer" else None)


def task_domain(name: str) -> Domain:
    """The domain of a fact under any-task, where task-comm and the like have one value."""
    domain = fact_domain(name)
    return Domain(name == "task-frame", (), domain.lowest) if name.startswith("task-") else domain


def record_domain(name: str) -> Domain:
    """The domain of a probe's field: one value, which may be negative."""
    return Domain()


Leaves = Sequence[tuple[Leaf, bool]]
"""Leaves, each with whether it must be true (True) or must not."""

Domains = Callable[[str], Domain]


def plain(condition: Condition) -> object:
    """The condition without its marks, for comparing; the order of children does not count."""
    if isinstance(condition, Leaf):
        values = condition.values if condition.operator != "is" else tuple(sorted(set(map(repr, condition.values))))
        return (condition.fact, condition.operator, values)
    if isinstance(condition, AnyTask):
        return ("any-task", plain(condition.condition))
    if isinstance(condition, Similar):
        return ("similar", repr(replace(condition, mark=None)))
    children = sorted(repr(plain(child)) for child in condition.children)
    return (condition.combinator, condition.count, tuple(children))


def traps(condition: Condition, domains: Domains) -> Iterator[Trap]:
    """Everything in the tree that cannot be meant; each place is reported once, by its first trap."""
    if isinstance(condition, Combination) and condition.combinator == "not":
        yield condition.mark, "lone-not", "`not` alone: it says only what the crash is not"
        return
    yield from _walk(condition, domains, ())


def _walk(node: Condition, domains: Domains, demanded: tuple[tuple[Leaf, bool], ...]) -> Iterator[Trap]:
    if isinstance(node, Leaf):
        yield from _leaf_traps(node, domains(node.fact))
    elif isinstance(node, AnyTask):
        yield from _walk(node.condition, task_domain, ())
    elif isinstance(node, Similar):
        return  # scored as a whole: its parts are no conditions
    elif node.combinator == "not":
        child = node.children[0]
        if isinstance(child, Combination) and child.combinator == "not":
            yield node.mark, "double-not", "`not` within `not`"
        else:
            yield from _walk(child, domains, ())
    elif len(node.children) == 1:
        yield node.mark, "single-child", f"{node.combinator!r} has one child"
        yield from _walk(node.children[0], domains, demanded)
    elif node.combinator == "all":
        yield from _all_traps(node, domains, demanded)
    else:
        yield from _any_traps(node, domains, demanded)


def _all_traps(node: Combination, domains: Domains, demanded: tuple[tuple[Leaf, bool], ...]) -> Iterator[Trap]:
    twice = _duplicate(node)
    if twice is not None:
        yield twice
        return
    if all(isinstance(child, Combination) and child.combinator == "not" for child in node.children):
        yield node.mark, "lone-not", "every child is a `not`: nothing says what the crash is"
        return
    opposite = _opposites(node)
    if opposite is not None:
        yield opposite, "contradiction", "a condition and its `not` stand side by side"
        return
    known = list(demanded)
    for child in node.children:
        for leaf, wanted in demands(child):
            known.append((leaf, wanted))
            if not possible([pair for pair in known if pair[0].fact == leaf.fact], domains(leaf.fact)):
                own = any(True for _ in _leaf_traps(leaf, domains(leaf.fact)))
                if not own:
                    others = dict.fromkeys(o.label() for o, w in known[:-1] if o.fact == leaf.fact and w)
                    what = " and ".join([*others, leaf.label() if wanted else f"not: {leaf.label()}"])
                    yield leaf.mark, "contradiction", f"these cannot be true together: {what}"
                known.pop()
                if not own:
                    return
    for child in node.children:
        if isinstance(child, Combination) and child.combinator == "all":
            yield from _walk(child, domains, ())
        else:
            yield from _walk(child, domains, tuple(pair for pair in known if pair not in demands(child)))


def _any_traps(node: Combination, domains: Domains, demanded: tuple[tuple[Leaf, bool], ...]) -> Iterator[Trap]:
    twice = _duplicate(node)
    if twice is not None:
        yield twice
        return
    if node.combinator == "at-least" and node.count in (1, len(node.children)):
        yield node.mark, "bad-count", f"at-least {node.count} of {len(node.children)} is {_plain_name(node)!r}"
    opposite = _opposites(node)
    if opposite is not None and (node.combinator == "any" or node.count == 1):
        yield opposite, "always-true", "a condition or its `not`: one of them is always true"
        return
    if node.combinator == "any":
        for child in node.children:
            if isinstance(child, Combination) and child.combinator == "not":
                yield child.mark, "lone-not", "`not` as one way of an `any` is true of nearly every crash"
                return
        covered = _covers_all([c for c in node.children if isinstance(c, Leaf)], domains)
        if covered is not None:
            yield covered.mark, "always-true", f"one of these is true whatever {covered.fact} is"
            return
    for child in node.children:
        if node.combinator == "any":
            for leaf, _ in demands(child):
                pairs = [p for p in (*demanded, *demands(child)) if p[0].fact == leaf.fact]
                alone = [p for p in demands(child) if p[0].fact == leaf.fact]
                if not possible(pairs, domains(leaf.fact)) and possible(alone, domains(leaf.fact)):
                    yield leaf.mark, "contradiction", f"{leaf.label()} contradicts what is demanded around it"
                    return
        yield from _walk(child, domains, demanded)


def _plain_name(node: Combination) -> str:
    return "any" if node.count == 1 else "all"


def _duplicate(node: Combination) -> Trap | None:
    seen: set[str] = set()
    for child in node.children:
        key = repr(plain(child))
        if key in seen:
            what = child.label() if isinstance(child, Leaf) else "this condition"
            return _mark_of(child), "duplicate-condition", f"{what} stands here twice"
        seen.add(key)
    return None


def _opposites(node: Combination) -> Mark | None:
    """The place of the second of two children of which one is the other's `not`."""
    seen: dict[str, bool] = {}
    for child in node.children:
        negated = isinstance(child, Combination) and child.combinator == "not"
        inner = child.children[0] if isinstance(child, Combination) and negated else child
        key = repr(plain(inner))
        if seen.get(key, negated) is not negated:
            return _mark_of(child)
        seen[key] = negated
    return None


def _mark_of(node: Condition) -> Mark | None:
    return node.mark


def demands(node: Condition) -> Leaves:
    """The leaves that must be true (True) or must not (False) for the node to be true."""
    if isinstance(node, Leaf):
        return [(node, True)]
    if isinstance(node, (AnyTask, Similar)):
        return []
    if node.combinator == "not" and isinstance(node.children[0], Leaf):
        return [(node.children[0], False)]
    if node.combinator == "all" or (node.combinator != "not" and len(node.children) == 1):
        return [pair for child in node.children for pair in demands(child)]
    return []


def possible(pairs: Sequence[tuple[Leaf, bool]], domain: Domain) -> bool:
    """Whether one fact can satisfy all of these at once; True where that cannot be decided."""
    wanted = [leaf for leaf, positive in pairs if positive]
    unwanted = [leaf for leaf, positive in pairs if not positive]
    for leaf in wanted:
        for other in unwanted:
            if leaf.operator == "is" and all(other.accepts(value) for value in leaf.values):
                return False
    if domain.many or not wanted:
        return True
    listed = [set(leaf.values) for leaf in wanted if leaf.operator == "is"]
    if listed or domain.closed:
        values = set.intersection(*listed) if listed else set(domain.closed)
        return any(
            all(leaf.accepts(value) for leaf in wanted) and not any(leaf.accepts(value) for leaf in unwanted)
            for value in values
        )
    if isinstance(wanted[0].values[0], str):
        prefixes = [str(leaf.values[0]) for leaf in wanted if leaf.operator == "prefix"]
        return all(a.startswith(b) or b.startswith(a) for a in prefixes for b in prefixes)
    low, high = _interval(wanted, domain)
    masks = [(int(leaf.values[0]), int(leaf.values[1])) for leaf in wanted if leaf.operator == "mask"]
    agree = all((w ^ x) & m & n == 0 for m, w in masks for n, x in masks)
    return low <= high and agree


def _interval(leaves: Sequence[Leaf], domain: Domain) -> tuple[int, int]:
    low, high = domain.lowest if domain.lowest is not None else -(1 << 63), U64
    for leaf in leaves:
        value = leaf.values[0]
        if not isinstance(value, int):
            continue
        if leaf.operator in ("ge", "gt"):
            low = max(low, value + (leaf.operator == "gt"))
        elif leaf.operator in ("le", "lt"):
            high = min(high, value - (leaf.operator == "lt"))
    return low, high


def _leaf_traps(leaf: Leaf, domain: Domain) -> Iterator[Trap]:
    first = leaf.values[0]
    if leaf.operator == "mask" and isinstance(first, int) and isinstance(leaf.values[1], int):
        if leaf.values[1] & ~first:
            yield leaf.mark, "always-false", f"{leaf.label()}: the wanted value has bits outside the mask"
        elif first == 0:
            yield leaf.mark, "always-true", f"{leaf.label()}: an empty mask fits everything"
    elif leaf.operator in ("lt", "le", "gt", "ge") and isinstance(first, int):
        low, high = _interval((leaf,), domain)
        whole = _interval((), domain)
        if low > high:
            yield leaf.mark, "always-false", f"{leaf.label()}: no number is"
        elif (low, high) == whole:
            yield leaf.mark, "always-true", f"{leaf.label()}: every number is"
    elif leaf.operator == "matches" and _matches_everything(str(first)):
        yield leaf.mark, "always-true", f"{leaf.label()}: this pattern fits every text"
    elif leaf.operator in ("prefix", "contains", "matches") and domain.closed:
        fitting = [value for value in domain.closed if leaf.accepts(value)]
        if len(fitting) in (0, len(domain.closed)):
            code = "always-true" if fitting else "always-false"
            yield leaf.mark, code, f"{leaf.label()}: {'every' if fitting else 'no'} value of {leaf.fact} does"
    elif leaf.operator == "is":
        if domain.closed and set(domain.closed) <= set(leaf.values):
            yield leaf.mark, "always-true", f"{leaf.fact} has no other values than these"
        elif len(set(leaf.values)) < len(leaf.values):
            yield leaf.mark, "duplicate-condition", f"a value stands twice in {leaf.label()}"


def _matches_everything(pattern: str) -> bool:
    import re

    try:
        return re.search(pattern, "") is not None and not re.search(r"\\b|\\B|\^\$|\\A\\Z|^\$$", pattern)
    except re.error:
        return False


def _covers_all(leaves: Sequence[Leaf], domains: Domains) -> Leaf | None:
    """The leaf that completes a set of alternatives of which one is always true; None if there is none."""
    by_fact: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        domain = domains(leaf.fact)
        if domain.many:
            continue
        group = by_fact.setdefault(leaf.fact, [])
        group.append(leaf)
        if _fills(group, domain):
            return leaf
    return None


def _fills(group: Sequence[Leaf], domain: Domain) -> bool:
    """Whether every value is accepted by one of the alternatives."""
    if len(group) < 2:
        return False
    if domain.closed:
        return all(any(leaf.accepts(value) for leaf in group) for value in domain.closed)
    below = [int(x.values[0]) + (x.operator == "le") for x in group if x.operator in ("lt", "le")]
    above = [int(x.values[0]) + (x.operator == "gt") for x in group if x.operator in ("gt", "ge")]
    return bool(below and above) and max(below) >= min(above)
