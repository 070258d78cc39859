"""
Who wins where several scored rules resemble one crash: the best few answer, too many equals answer nothing.

A boolean rule that answers an event beats every scored one: it was written and tested by somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbmatch.engine.finding import Finding
from kbmatch.engine.verdict import Verdict

MARGIN = 0.03
"""Scores that differ by less are equal: the order of a few frames is no evidence."""
MAX_TIED = 3


def is_scored(finding: Finding) -> bool:
    """Whether the finding's score is a resemblance, not a share of conditions."""
    return any(leaf.score is not None for leaf in finding.signature.leaves())


def settle(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in their order; scored ones that cannot answer beside better or as many equal ones are possible."""
    events = dict.fromkeys(f.event for f in findings)
    settled = {id(f): f for f in findings}
    for event in events:
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
                settled[id(finding)] = replace(finding, verdict=Verdict.POSSIBLE)
            elif len(equal) > MAX_TIED:
                settled[id(finding)] = replace(finding, verdict=Verdict.POSSIBLE, tied=len(equal))
    return [settled[id(f)] for f in findings]
