"""Trying every rule, without the index: what `kbmatch kb verify` holds the index against.

A crash is made of a rule's own signature: the facts that its leaves ask for. Whatever rule is true on it must be among
those that the index leads to.
"""

from __future__ import annotations

from collections.abc import Sequence

from kbmatch.engine.condition import Combination, Condition, Leaf
from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.diagnose import SceneLookup
from kbmatch.engine.facts import Scene, selective_values
from kbmatch.engine.incident import Incident, Kernel, Source
from kbmatch.engine.logic import Truth
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Frame, HungTask, Signature
from kbmatch.engine.similarity import Similar
from kbmatch.engine.values import replace

Keys = tuple[tuple[str, str], ...]


def crash_like(condition: Condition) -> Signature:
    """A crash that shows what the condition asks for by name; what it asks for otherwise is left unknown."""
    return _shown(condition, Signature("other", "made by kbmatch kb verify"))


def _shown(condition: Condition, event: Signature) -> Signature:
    if isinstance(condition, Similar):
        names = (condition.top or condition.blamed[0], condition.blamed[0], *condition.frames)
        source = f"{condition.at}:1" if condition.at else event.source_line
        return replace(_framed(event, names), kind=condition.kind, source_line=source)
    if isinstance(condition, Leaf):
        return _with_fact(event, condition)
    if isinstance(condition, Combination):
        if condition.combinator == "not":
            return event
        wanted = 1 if condition.combinator == "any" else condition.count or len(condition.children)
        for child in condition.children[:wanted]:
            event = _shown(child, event)
        return event
    return _shown(condition.condition, event)


def _with_fact(event: Signature, leaf: Leaf) -> Signature:
    ordered = leaf.operator in ("in-order", "adjacent")
    if leaf.operator not in ("is", "prefix") and not ordered:
        return event
    names = tuple(map(str, leaf.values if ordered else leaf.values[:1]))
    match leaf.fact:
        case "kind":
            return replace(event, kind=names[0])
        case "symbol":
            return replace(event, symbol=names[0])
        case "culprit" | "frame":
            return _framed(event, names)
        case "task-frame":
            trace = tuple(Frame(name, name) for name in names)
            return replace(event, tasks=(HungTask("task", 1, 122, trace),))
        case "module" | "frame-module":
            return replace(event, module=names[0])
        case "panic":
            return replace(event, message=f"Kernel panic - not syncing: {names[0]}")
        case "address" if isinstance(leaf.values[0], int):
            return replace(event, address=leaf.values[0])
        case _:
            return event


def _framed(event: Signature, names: Sequence[str]) -> Signature:
    """The names in this order: the first where the CPU stood, if nothing stands there yet, the others in the trace."""
    names = tuple(dict.fromkeys(names))
    if event.symbol is None:
        event, names = replace(event, symbol=names[0]), names[1:]
    return replace(event, trace=(*event.trace, *(Frame(name, name) for name in names)))


def lookup_of(event: Signature, helpers: HelperFrames) -> tuple[SceneLookup, Keys]:
    """The crash as rules are judged on it, and the keys by which the index would be asked."""
    events = assign_culprits((event,), helpers)
    scene = Scene(Incident(Source("-", "console", 0), Kernel(), events=events), events[0])
    return SceneLookup(scene), tuple(selective_values(scene))


def true_ones(rules: Sequence[Rule], lookup: SceneLookup) -> list[Rule]:
    """The rules whose signature is true on the crash."""
    return [rule for rule in rules if rule.signature.judge(lookup).truth is Truth.TRUE]
