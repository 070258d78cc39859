"""Finding: a rule, the event it speaks of, a verdict, and the reasons."""

from __future__ import annotations

from kbmatch.engine.affected import VersionJudgement
from kbmatch.engine.explanation import Explanation, Observed
from kbmatch.engine.incident import Incident
from kbmatch.engine.rule import Rule
from kbmatch.engine.values import dataclass, field
from kbmatch.engine.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that speaks for the finding: its value and where it stands ("line 3", "address 0x...")."""

    fact: str
    value: Observed
    source: str | None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do. `action` is upgrade, vendor, hardware, configuration, escalate or none.

    `version` is the first fixed version of the product named, in the product's own numbering; `commands` are built
    from the product table and rule versions only, shell-quoted.
    """

    action: str
    product: str | None = None
    version: str | None = None
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another rule of the same differential diagnosis: its verdict on the same event (None: no fit),
    and the leaves that separate it from the finding (false ones), or would (unknown ones).
    """

    rule: str
    title: str
    verdict: Verdict | None
    separated_by: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's answer on one event; `event` is an index into the incident's events, None for state alone.

    `score` is the share of the signature's leaves that are known to hold, from 0 to 1; of a scored leaf, how much the
    crash resembles. `tied`: so many rules resemble it equally that none is the answer; 0 otherwise.
    """

    rule: Rule
    event: int | None
    verdict: Verdict
    version_conflict: bool
    score: float
    recommend: Recommendation
    version: VersionJudgement
    signature: Explanation
    state: tuple[Explanation, ...] = ()
    exceptions: tuple[Explanation, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    siblings: tuple[Sibling, ...] = ()
    tied: int = 0

    @property
    def answers(self) -> bool:
        """Whether this finding makes the crash a known issue."""
        return self.verdict in (Verdict.CONFIRMED, Verdict.LIKELY) and not self.version_conflict


OUTCOMES: tuple[str, ...] = ("known-issue", "needs-escalation", "not-a-kernel-bug", "no-crash")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings on one incident, best first, and the outcome, which is judged on the fatal event alone."""

    incident: Incident
    outcome: str
    findings: tuple[Finding, ...] = field(default=())

    def of_event(self, index: int | None) -> tuple[Finding, ...]:
        """The findings on one event, best first."""
        return tuple(finding for finding in self.findings if finding.event == index)
