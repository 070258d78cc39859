"""Diagnose: from an incident and candidate rules to findings. Pure; the knowledge base is handed in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

from kbmatch.engine.affected import VersionJudgement, VersionStatus, judge
from kbmatch.engine.condition import LINE_FACTS, Reading
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.face import Face
from kbmatch.engine.facts import FACTS, Scene, in_order, selective_values
from kbmatch.engine.finding import Diagnosis, Evidence, Finding, Sibling
from kbmatch.engine.incident import Incident
from kbmatch.engine.logic import Truth, all_of
from kbmatch.engine.products import Products
from kbmatch.engine.recommend import recommend
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Signature
from kbmatch.engine.similarity import LIKELY
from kbmatch.engine.state import judge_state
from kbmatch.engine.ties import is_scored, settle
from kbmatch.engine.values import replace
from kbmatch.engine.verdict import Verdict, combine

MAX_TASKS = 1000
"""Blocked tasks of one event that any-task looks at."""


SURVIVABLE = frozenset(("hung-task", "soft-lockup", "hard-lockup", "rcu-stall", "workqueue-stall", "warning"))
"""Kinds that end the kernel only where a setting says so."""


class RuleSource(Protocol):
    """The knowledge base, as the matcher sees it."""

    def candidates(self, keys: Iterable[tuple[str, str]], probes: Iterable[str]) -> Sequence[Rule]:
        """Rules with at least one selective leaf among `keys`, or with a state condition on one of `probes`."""
        ...

    def get(self, rule_id: str) -> Rule | None:
        """One rule by id."""
        ...


def diagnose(incident: Incident, rules: RuleSource, products: Products) -> Diagnosis:
    """All findings on all events, best first, with siblings set beside each other."""
    findings: list[Finding] = []
    fitting: set[str] = set()
    for index, event in enumerate(incident.events):
        lookup = SceneLookup(Scene(incident, event))
        for rule in rules.candidates(selective_values(lookup.scene), ()):
            finding = _judge(rule, lookup, index, products)
            if finding is not None:
                findings.append(finding)
                fitting.add(rule.id)
    # registers belong to an event: without it they prove nothing
    memory = [name for name, state in incident.state.items() if state.origin != "registers"]
    for rule in rules.candidates((), memory):
        # memory shows it though no event does: the log is torn, or the crash came from something else
        if rule.id not in fitting:
            finding = _judge(rule, SceneLookup(Scene(incident, None)), None, products)
            if finding is not None and finding.verdict is not Verdict.INCOMPLETE:
                findings.append(finding)
    findings = settle(findings)
    findings = [replace(f, siblings=_siblings(f, findings, incident, rules)) for f in findings]
    findings.sort(key=lambda f: (f.verdict.rank, -f.score, f.rule.id))
    return Diagnosis(incident, _outcome(incident, findings), tuple(findings))


class SceneLookup:
    """The registered facts of a scene, as conditions ask for them; scored leaves ask for the `face` of its event."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @cached_property
    def face(self) -> Face | None:
        """The comparable part of the event, None without one."""
        event = self.scene.event
        return None if event is None else Face(event, self.scene.incident.kernel.arch)

    def __call__(self, name: str) -> Reading:
        """What is known of one fact."""
        fact = FACTS[name]
        value = fact.read(self.scene)
        ordered = in_order(self.scene, name) if fact.ordered else None
        why = None if value is not None else "not in the input"
        return Reading(value, fact.source(self.scene), why, ordered)

    def tasks(self) -> list[SceneLookup]:
        """The same, for each of the event's blocked tasks by itself."""
        event = self.scene.event
        if event is None:
            return []
        return [
            SceneLookup(Scene(self.scene.incident, replace(event, tasks=(task,)))) for task in event.tasks[:MAX_TASKS]
        ]


def judge_version(rule: Rule, event: Signature | None, incident: Incident, products: Products) -> VersionJudgement:
    """The version's part of the verdict. An event of another boot is judged by its own kernel."""
    kernel = incident.kernel
    if event is not None and event.release is not None and event.release != kernel.release:
        from kbmatch.engine.incident import Kernel

        kernel = products.identify(Kernel(release=event.release, arch=kernel.arch))
    judged = judge(rule.affected, kernel, products)
    if rule.rule_class == "not-a-kernel-bug" and not rule.affected:
        return replace(judged, status=VersionStatus.AFFECTED, why="this is no bug of the kernel: any version")
    return judged


def _judge(rule: Rule, lookup: SceneLookup, index: int | None, products: Products) -> Finding | None:
    scene = lookup.scene
    signature = rule.signature.judge(lookup)
    if signature.truth is Truth.FALSE:
        return None
    state = tuple(judge_state(condition, scene.incident) for condition in rule.state)
    state_truth = all_of(part.truth for part in state) if state else Truth.UNKNOWN
    exceptions = tuple(item.when.judge(lookup) for item in rule.exceptions)
    excepted = any(item.truth is Truth.TRUE for item in exceptions)
    version = judge_version(rule, scene.event, scene.incident, products)
    score = _score(signature)
    judgement = combine(
        signature.truth, state_truth, version.status, excepted, rule.rule_class == "kernel-bug", weak=is_weak(signature)
    )
    if judgement is None:
        return None
    return Finding(
        rule=rule,
        event=index,
        verdict=judgement.verdict,
        version_conflict=judgement.version_conflict,
        score=score,
        recommend=recommend(rule, judgement, version, scene.incident, products),
        version=version,
        signature=signature,
        state=state,
        exceptions=exceptions,
        evidence=_evidence((signature, *state), scene),
    )


def _score(signature: Explanation) -> float:
    """The share of the leaves that hold; where a scored leaf holds, how much the crash resembles."""
    leaves = tuple(signature.leaves())
    scores = [leaf.score for leaf in leaves if leaf.score is not None and leaf.truth is Truth.TRUE]
    if scores:
        return max(scores)
    return round(sum(leaf.truth is Truth.TRUE for leaf in leaves) / len(leaves), 4)


def is_weak(signature: Explanation) -> bool:
    """Whether a scored leaf holds without resembling enough for an answer."""
    scores = [leaf.score for leaf in signature.leaves() if leaf.score is not None and leaf.truth is Truth.TRUE]
    return bool(scores) and max(scores) < LIKELY


def _evidence(trees: Iterable[Explanation], scene: Scene) -> tuple[Evidence, ...]:
    """The facts that hold, each once; of the log's own lines (`text`, `log`) one entry a condition, with its place."""
    found: dict[object, Evidence] = {}
    for tree in trees:
        for leaf in tree.leaves():
            if leaf.truth is not Truth.TRUE or leaf.fact is None:
                continue
            value, source = leaf.observed, leaf.source
            if leaf.fact in LINE_FACTS and isinstance(value, tuple) and value:
                value = value[0]
                source = _place(str(value), scene)
                found.setdefault((leaf.fact, value), Evidence(leaf.fact, value, source))
            else:
                found.setdefault(leaf.fact, Evidence(leaf.fact, value, source))
    return tuple(found.values())


def _place(text: str, scene: Scene) -> str | None:
    """The first line of the log that holds the text, from the event's head on if it stands there; None if none does."""
    log, event = scene.incident.log, scene.event
    if log is None:
        return None
    head = (event.line or 1) - 1 if event is not None else 0
    for start, end in ((head, len(log.lines)), (0, head)):
        for number in range(start, end):
            if text in log.lines[number]:
                return f"line {number + 1}"
    return None


def _siblings(
    finding: Finding, findings: Sequence[Finding], incident: Incident, rules: RuleSource
) -> tuple[Sibling, ...]:
    """The rules named as related, in either direction, and what tells them from this finding."""
    related = dict.fromkeys(finding.rule.related)
    related.update(dict.fromkeys(f.rule.id for f in findings if finding.rule.id in f.rule.related))
    event = None if finding.event is None else incident.events[finding.event]
    found: list[Sibling] = []
    for rule_id in related:
        other = next((f for f in findings if f.rule.id == rule_id and f.event == finding.event), None)
        rule = other.rule if other is not None else rules.get(rule_id)
        if rule is None:
            continue
        if other is not None:
            separating = tuple(leaf for tree in other.state for leaf in tree.decisive())
            found.append(Sibling(rule.id, rule.title, other.verdict, separating))
        else:
            tree = rule.signature.judge(SceneLookup(Scene(incident, event)))
            found.append(Sibling(rule.id, rule.title, None, tree.decisive()))
    return tuple(found)


def _outcome(incident: Incident, findings: Sequence[Finding]) -> str:
    fatal = incident.fatal_index
    if fatal is None:
        return "no-crash" if not findings else "needs-escalation"
    own = [finding for finding in findings if finding.event == fatal]
    if own and own[0].answers:
        return "known-issue"
    if own and own[0].version_conflict:
        return "needs-escalation"
    kind = incident.events[fatal].kind
    outside = [f for f in own if f.verdict is Verdict.NOT_A_KERNEL_BUG and not _is_setting(f, kind)]
    # what a configuration explains may still have a bug beneath it: one that fits stays the question
    beneath = any(_is_serious(finding) for finding in own)
    if any(finding.rule.action != "configuration" or not beneath for finding in outside):
        return "not-a-kernel-bug"
    return "needs-escalation"


def _is_setting(finding: Finding, kind: str) -> bool:
    """Whether a rule explains by a setting that the kernel stopped, not why a task or CPU was stuck: that is open."""
    return (
        finding.rule.action == "configuration"
        and kind in SURVIVABLE
        and any(item.fact == "panic" for item in finding.evidence)
    )


def _is_serious(finding: Finding) -> bool:
    """Whether a kernel bug fits that only the version keeps from being an answer."""
    if finding.verdict is Verdict.ALREADY_FIXED:
        return True
    return finding.verdict is Verdict.POSSIBLE and not (is_scored(finding) and finding.score < LIKELY)
