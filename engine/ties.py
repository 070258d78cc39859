"""Who wins where several scored rules resemble one crash: the best few answer, too many equals answer nothing.

A boolean rule that answers an event beats every scored one: it was written and tested by somebody.
"""

from __future__ import annotations

from collections.abc import Sequence

from kbmatch.engine.affected import VersionJudgement
from kbmatch.engine.finding import Finding
from kbmatch.engine.similarity import LIKELY
from kbmatch.engine.values import replace
from kbmatch.engine.verdict import Verdict
from kbmatch.engine.versions import upstream

MARGIN = 0.03
"""Scores that differ by less are equal: the order of a few frames is no evidence."""
MAX_TIED = 3
_LATER = 0.02
_THIS_CYCLE = 0.1
"""Of equals, the defect that was mended soonest after the running kernel comes first: it is the likelier one
to be met."""


def is_scored(finding: Finding) -> bool:
    """Whether the finding's score is a resemblance, not a share of conditions."""
    return any(leaf.score is not None for leaf in finding.signature.leaves())


def settle(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in their order; scored ones that cannot answer beside better or as many equal ones are possible."""
    findings = _without_doubles(findings)
    events = dict.fromkeys(f.event for f in findings)
    settled = {id(f): f for f in findings}
    for event in events:
        for finding in findings:
            if finding.event == event and finding.verdict is Verdict.POSSIBLE and is_scored(finding):
                settled[id(finding)] = replace(finding, score=_later(finding))
        own = [f for f in findings if f.event == event and f.verdict is Verdict.LIKELY]
        scored = [f for f in own if is_scored(f)]
        if not scored:
            continue
        best = max(f.score for f in scored)
        equal = [f for f in scored if f.score >= best - MARGIN]
        beaten = len(scored) < len(own) or any(
            f.verdict is Verdict.CONFIRMED and not is_scored(f) for f in findings if f.event == event
        )
        for finding in scored:
            if beaten or finding not in equal:
                demoted = replace(finding, verdict=Verdict.POSSIBLE)
            elif len(equal) > MAX_TIED:
                demoted = replace(finding, verdict=Verdict.POSSIBLE, tied=len(equal))
            else:
                demoted = replace(finding, score=_later(finding))
            settled[id(finding)] = demoted
    return [settled[id(f)] for f in findings]


def _without_doubles(findings: Sequence[Finding]) -> list[Finding]:
    """The findings but for scored ones of a CVE that a written rule speaks of on the same event: it says more.

    Where a written rule answers, those that resemble too little for an answer say nothing beside it.
    """
    told = {
        (finding.event, alias.lower())
        for finding in findings
        if not is_scored(finding) and finding.verdict is not Verdict.INCOMPLETE
        for alias in finding.rule.aliases
    }
    settled = {f.event for f in findings if not is_scored(f) and f.verdict in _SETTLED}
    return [
        f
        for f in findings
        if not is_scored(f) or not ((f.event, f.rule.id) in told or (f.event in settled and f.score < LIKELY))
    ]


_SETTLED = (Verdict.CONFIRMED, Verdict.LIKELY, Verdict.ALREADY_FIXED)


def _later(finding: Finding) -> float:
    return round(finding.score - _LATER * lateness(finding.version), 4)


def lateness(version: VersionJudgement) -> float:
    """How long after the running kernel the fix came, from 0 (the same release) to 1 (years, or not known)."""
    if version.fixed is None:
        return 1.0
    running, fixed = (_release(text) for text in (version.running, version.fixed))
    if running is None or fixed is None:
        return 1.0
    return min(1.0, abs(fixed - running) / 20 + (_THIS_CYCLE if _in_this_cycle(version) else 0.0))


def _in_this_cycle(version: VersionJudgement) -> bool:
    """Whether a release candidate runs and the fix came with the release itself: most fixes are in rc1 already."""
    running, fixed = upstream.parse(version.running or ""), upstream.parse(version.fixed or "")
    if running is None or fixed is None or not running.is_rc:
        return False
    return running.branch == fixed.branch and not fixed.is_stable


def _release(text: str | None) -> float | None:
    """A version as a number of releases: 5.19 and 6.0 follow each other."""
    parsed = upstream.parse(text or "")
    if parsed is None:
        return None
    major, minor, patch = parsed.numbers[:3]
    return sum(_LAST_MINOR.get(m, 20) for m in range(3, major)) + minor + min(patch, 99) / 200


_LAST_MINOR = {3: 20, 4: 21, 5: 20, 6: 20}
