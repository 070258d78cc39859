"""Verdicts: what signature, state and version, judged apart, say together (DESIGN.md, "Verdicts")."""

from __future__ import annotations

import enum

from kbmatch.engine.affected import VersionStatus
from kbmatch.engine.logic import Truth
from kbmatch.engine.values import dataclass


class Verdict(enum.Enum):
    """In the order in which findings are listed."""

    CONFIRMED = "confirmed"
    LIKELY = "likely"
    ALREADY_FIXED = "already-fixed"
    POSSIBLE = "possible"
    NOT_A_KERNEL_BUG = "not-a-kernel-bug"
    REFUTED = "refuted"
    NOT_AFFECTED = "not-affected"
    EXCEPTED = "excepted"
    INCOMPLETE = "incomplete"

    @property
    def rank(self) -> int:
        """Position in the order, from 0."""
        return _ORDER[self]

    @property
    def shown(self) -> bool:
        """Whether a report shows it without --all."""
        return self.rank <= Verdict.NOT_A_KERNEL_BUG.rank


_ORDER = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and whether memory and version table contradict each other."""

    verdict: Verdict
    version_conflict: bool = False


def combine(
    signature: Truth,
    state: Truth,
    version: VersionStatus,
    excepted: bool,
    kernel_bug: bool = True,
    *,
    weak: bool = False,
) -> Judgement | None:
    """The verdict of DESIGN.md's table, its rows tried in order; None means no finding.

    `state` is UNKNOWN for rules without a state condition. For rules that are not about a kernel bug
    (`kernel_bug` False), confirmed and likely become NOT_A_KERNEL_BUG. A `weak` signature (a scored leaf that resembles
    too little for an answer) is at most possible without state, and a lookalike where the version has the fix.
    """
    if signature is Truth.FALSE:
        return None
    if signature is Truth.UNKNOWN:
        return Judgement(Verdict.POSSIBLE if state is Truth.TRUE else Verdict.INCOMPLETE)
    if excepted:
        return Judgement(Verdict.EXCEPTED)
    if state is Truth.FALSE:
        return Judgement(Verdict.REFUTED)
    if state is Truth.TRUE:
        if version in (VersionStatus.FIXED, VersionStatus.BEFORE_INTRODUCED):
            return Judgement(Verdict.CONFIRMED, version_conflict=True)
        return Judgement(Verdict.CONFIRMED if kernel_bug else Verdict.NOT_A_KERNEL_BUG)
    if version is VersionStatus.FIXED:
        return Judgement(Verdict.NOT_AFFECTED if weak else Verdict.ALREADY_FIXED)
    if version is VersionStatus.BEFORE_INTRODUCED:
        return Judgement(Verdict.NOT_AFFECTED)
    if version is VersionStatus.AFFECTED and not weak:
        return Judgement(Verdict.LIKELY if kernel_bug else Verdict.NOT_A_KERNEL_BUG)
    return Judgement(Verdict.POSSIBLE)
