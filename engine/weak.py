"""Weak candidates: mined rules about the code that crashed, though not in the way that they know.

Ranked by what the crash and the rule have in common (engine/traits.py), by whether their kinds go together and whether
the running kernel has the defect. They are `possible` at most, never an answer, and stand behind every finding that
resembles: something to look at first when nothing else is known. Asked for by --all and by the report of a crash that
no rule explains, never by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from kbmatch.engine.affected import VersionJudgement, VersionStatus
from kbmatch.engine.clues import MAX_BYTES, board_of, named_fixes
from kbmatch.engine.condition import Condition
from kbmatch.engine.diagnose import judge_version
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.face import Face, compatibility
from kbmatch.engine.finding import Diagnosis, Evidence, Finding
from kbmatch.engine.logic import Truth
from kbmatch.engine.products import Products
from kbmatch.engine.recommend import recommend
from kbmatch.engine.rule import Rule
from kbmatch.engine.similarity import POSSIBLE, Similar
from kbmatch.engine.ties import lateness
from kbmatch.engine.traits import BOARD, CAUSE, FILE, FIX, FUNCTION, MODULE, SEEN, functions_of, traits_of
from kbmatch.engine.values import replace
from kbmatch.engine.verdict import Verdict, combine

MOST = 5
"""Weak candidates that are shown."""
LEAST = 0.2
"""Less in common is chance."""
_JUDGED = 60
_UNKNOWN_VERSION, _LATE = 0.8, 0.12
_WORDS = {FUNCTION: "function", FILE: "in", MODULE: "module", SEEN: "seen on kernel", BOARD: "seen on board"}
_SHOWN = 6


class Relatives(Protocol):
    """The knowledge base, as weak candidates are looked up in it."""

    def homes(self, functions: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """The source files that define each of the functions."""
        ...

    def related(self, traits: Mapping[str, float], most: int) -> Sequence[tuple[float, Rule, tuple[str, ...]]]:
        """(strength, rule, traits that both have) of the rules that have most in common, best first."""
        ...


def with_weak(diagnosis: Diagnosis, source: Relatives, products: Products, most: int = MOST) -> Diagnosis:
    """The diagnosis with weak candidates in their place among its findings; its outcome stays."""
    found = weak_findings(diagnosis, source, products, most)
    findings = sorted((*diagnosis.findings, *found), key=lambda f: (f.verdict.rank, -f.score, f.rule.id))
    return replace(diagnosis, findings=tuple(findings))


def weak_findings(diagnosis: Diagnosis, source: Relatives, products: Products, most: int = MOST) -> list[Finding]:
    """The best weak candidates on the fatal event, best first; rules that have a finding already are none."""
    incident = diagnosis.incident
    index = incident.fatal_index
    if index is None or any(finding.verdict is Verdict.CONFIRMED for finding in diagnosis.of_event(index)):
        return []  # memory has proved what it is
    event = incident.events[index]
    functions = functions_of(incident.events)
    text = incident.log.data[:MAX_BYTES] if incident.log is not None else b""
    named = named_fixes(line.decode("utf-8", "replace") for line in text.splitlines())
    traits = traits_of(
        incident.events, functions, source.homes(functions), incident.kernel.release,
        named, board_of(incident.machine.hardware),
    )  # fmt: skip
    kinds, face = tuple(dict.fromkeys(e.kind for e in incident.events)), Face(event, incident.kernel.arch)
    known = {finding.rule.id for finding in diagnosis.findings}
    known.update(alias.lower() for finding in diagnosis.findings for alias in finding.rule.aliases)
    ranked: list[tuple[float, Rule, tuple[str, ...], VersionJudgement]] = []
    for strength, rule, shared in source.related(traits, _JUDGED):
        kind = _compatible(rule.signature, kinds)
        if rule.id in known or kind is None or _is_elsewhere(rule.signature, face):
            continue
        version = judge_version(rule, event, incident, products)
        if version.status in (VersionStatus.FIXED, VersionStatus.BEFORE_INTRODUCED):
            continue
        value = strength * (0.5 + 0.5 * kind) * (1 - _LATE * lateness(version))
        if version.status is VersionStatus.UNKNOWN:
            value *= _UNKNOWN_VERSION
        if value >= LEAST:
            ranked.append((value, rule, shared, version))
    ranked.sort(key=lambda item: (-item[0], item[1].id))
    return [_finding(*item, named, index, diagnosis, products) for item in ranked[:most]]


def is_weak_candidate(finding: Finding) -> bool:
    """Whether a finding is here only because it is about the same code."""
    return finding.signature.score is not None and finding.score < POSSIBLE


def _compatible(condition: Condition, kinds: Sequence[str]) -> float | None:
    """How well the kinds of the rule's crashes go with those seen; None where it has no scored leaf."""
    leaves = _scored(condition)
    return max((compatibility(leaf.kind, kind) for leaf in leaves for kind in kinds), default=None)


def _is_elsewhere(condition: Condition, face: Face) -> bool:
    """Whether the fix is in a driver that is not among the modules loaded, or in another architecture's code."""
    return any(leaf.is_driver_missing(face) or leaf.is_elsewhere(face) for leaf in _scored(condition))


def _scored(condition: Condition) -> list[Similar]:
    if isinstance(condition, Similar):
        return [condition]
    return [leaf for child in getattr(condition, "children", ()) for leaf in _scored(child)]


def _observed(shared: Sequence[str], named: Mapping[str, int]) -> tuple[str, ...]:
    """What both have, in words: first of all a fix or a cause that the input names."""
    fixes = [name[2:] for name in shared if name[0] == FIX]
    found = [f"the input names its fix {name}, line {named.get(name, 0)}" for name in sorted(fixes, key=len)[:1]]
    causes = [name[2:] for name in shared if name[0] == CAUSE]
    found += [f"the input names its cause {name}, line {named.get(name, 0)}" for name in causes[:1]]
    found += [f"{_WORDS[name[0]]} {name[2:]}" for name in shared if name[0] in _WORDS]
    return tuple(found)[:_SHOWN]


def _finding(
    value: float,
    rule: Rule,
    shared: Sequence[str],
    version: VersionJudgement,
    named: Mapping[str, int],
    index: int,
    diagnosis: Diagnosis,
    products: Products,
) -> Finding:
    event = diagnosis.incident.events[index]
    line = event.lines.get("trace", event.line)
    source = None if line is None else f"line {line}"
    observed = _observed(shared, named)
    score = round((POSSIBLE - 0.01) * value / (value + 0.5), 4)  # always below what resembles
    label = "is about the same code, but not the same trace"
    signature = Explanation(Truth.TRUE, label, "frame", observed, source, score=score)
    judgement = combine(Truth.TRUE, Truth.UNKNOWN, version.status, False, weak=True)
    assert judgement is not None
    return Finding(
        rule=rule,
        event=index,
        verdict=judgement.verdict,
        version_conflict=False,
        score=score,
        recommend=recommend(rule, judgement, version, diagnosis.incident, products),
        version=version,
        signature=signature,
        evidence=(Evidence("frame", observed, source),),
    )
