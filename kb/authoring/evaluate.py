"""kbmatch kb evaluate: how good the mined rules are, measured on the crashes that they were made of and on others.

Self: each quoted crash, on a kernel that has the defect. Cross-fire: such a crash answered by a rule that is
neither its own
nor in its differential. Paraphrase: the crash as another machine would have logged it. Stranger: what would have been
answered if the crash's own rule were not known. Silence: crashes of drivers that do not exist.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.affected import VersionStatus
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.incident import Incident, Kernel, Source
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Signature
from kbmatch.engine.similarity import LIKELY
from kbmatch.engine.values import dataclass, field, replace
from kbmatch.engine.versions import upstream
from kbmatch.kb.authoring.evaluate_paraphrase import can_paraphrase, paraphrase
from kbmatch.kb.authoring.mine import own_event
from kbmatch.kb.authoring.mine_source import Progress, Record, read_records
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.mended import machines_of
from kbmatch.kb.store.mined import MinedRule

WORST = 15


@dataclass(slots=True)
class Tally:
    """One measure: of `asked` crashes, `first` had the right rule first, `five` among five, `answered` right
    or `wrong`.
    """

    asked: int = 0
    first: int = 0
    five: int = 0
    answered: int = 0
    wrong: int = 0

    @property
    def precision(self) -> float:
        """Right answers among all answers, 1 where nothing was answered."""
        return self.answered / (self.answered + self.wrong) if self.answered + self.wrong else 1.0


@dataclass(slots=True)
class Evaluation:
    """All measures. `offenders` counts how often a rule answered another's crash; `missed` are rules not found
    again.
    """

    own: Tally = field(default_factory=Tally)
    paraphrased: Tally = field(default_factory=Tally)
    strangers: int = 0
    unrelated: Tally = field(default_factory=Tally)
    offenders: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    @property
    def cross_fire(self) -> float:
        """The share of quoted crashes that another rule answered."""
        return self.own.wrong / max(1, self.own.asked)


def evaluate(
    source: Path,
    rules: Sequence[MinedRule],
    knowledge: KnowledgeBase,
    *,
    every: int = 1,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Measure the rules against the records that they were made of; `every` n-th rule only. Raises UnreadableInput."""
    found = Evaluation()
    wanted = {rule.id: rule for rule in rules[::every] if rule.status != "draft"}
    done = 0
    for record in read_records(source):
        rule = wanted.get(record.id.lower())
        if rule is None:
            continue
        done += 1
        progress(done, len(wanted))
        _measure(record, rule, knowledge, found)
    return found


def _measure(record: Record, rule: MinedRule, knowledge: KnowledgeBase, found: Evaluation) -> None:
    event = own_event(record, rule, knowledge.helper_frames)
    release = affected_release(rule)
    if event is None or release is None:
        return
    machine = next(iter(machines_of(rule.files)), "x86_64")
    kernel = knowledge.products.identify(Kernel(release=release, arch=machine))
    diagnosis = _diagnosis(knowledge, kernel, (event,))
    if not _count(diagnosis, rule, found.own, found.offenders):
        found.missed.append(rule.id)
    others = [f for f in diagnosis.findings if not _same(f.rule, rule)]
    found.strangers += any(_would_answer(f) for f in others)
    if can_paraphrase(event):
        reading = read_log(paraphrase(event, release, rule.id).encode())
        _count(_diagnosis(knowledge, kernel, reading.events), rule, found.paraphrased, Counter())


def _would_answer(finding: Finding) -> bool:
    if finding.rule.rule_class != "kernel-bug":
        return False  # it never answers which bug it is
    return finding.score >= LIKELY and finding.version.status is VersionStatus.AFFECTED


def _count(diagnosis: Diagnosis, rule: MinedRule, tally: Tally, offenders: Counter[str]) -> bool:
    """Add one crash to a tally; whether its own rule came first."""
    shown = [f for f in diagnosis.findings if f.verdict.shown]
    ranks = [_same(f.rule, rule) for f in shown]
    answers = [f for f in shown if f.answers]
    tally.asked += 1
    best = shown[0].score if shown else 0.0
    tied = [f.rule.id for f in shown if f.score >= best - 0.03]
    first = ranks[:1] == [True] or (rule.id in tied and all(i == rule.id or i in rule.related for i in tied))
    tally.first += first
    tally.five += any(ranks[:5])
    if answers:
        right = any(_same(f.rule, rule) for f in answers)
        tally.answered += right
        tally.wrong += not right
        if not right:
            offenders[answers[0].rule.id] += 1
    return first


def _same(other: Rule, rule: MinedRule) -> bool:
    """Whether a rule is the mined one, in its differential, or a curated one of the same fix."""
    own = {commit[:12] for line in rule.ranges for commit in line.split()[2:]}
    return other.id == rule.id or other.id in rule.related or any(fix.commit[:12] in own for fix in other.fixes)


def _diagnosis(knowledge: KnowledgeBase, kernel: Kernel, events: Sequence[Signature]) -> Diagnosis:
    named = assign_culprits((replace(event, release=None) for event in events), knowledge.helper_frames)
    return diagnose(Incident(Source("-", "console", 0), kernel=kernel, events=named), knowledge, knowledge.products)


def silence(incidents: Sequence[Incident], knowledge: KnowledgeBase) -> tuple[Tally, Mapping[str, int]]:
    """How many unrelated crashes were answered, and by which rules."""
    tally, offenders = Tally(), Counter[str]()
    for incident in incidents:
        kernel = knowledge.products.identify(incident.kernel)
        events = assign_culprits(incident.events, knowledge.helper_frames)
        diagnosis = diagnose(replace(incident, kernel=kernel, events=events), knowledge, knowledge.products)
        tally.asked += 1
        answers = [f for f in diagnosis.findings if f.answers]
        if answers:
            tally.wrong += 1
            offenders[answers[0].rule.id] += 1
    return tally, offenders


def affected_release(rule: MinedRule | Rule) -> str | None:
    """A kernel.org release that has the defect: a pre-release of the version that mended it."""
    if not isinstance(rule, MinedRule):
        return None
    for line in reversed(rule.ranges):
        introduced, fixed, *_ = (*line.split(), "")
        if re.fullmatch(r"\d+\.\d+", fixed) is None:
            continue
        if introduced != fixed:
            return f"{fixed}.0-rc2"
        return f"{fixed}.0-rc1"
    for line in rule.ranges:
        parsed = upstream.parse(line.split()[1])
        if parsed is not None and parsed.is_stable and parsed.numbers[2] > 1:
            return f"{parsed.branch}.{parsed.numbers[2] - 1}"
    return None


def report_lines(found: Evaluation, offenders: Mapping[str, int], title_of: Callable[[str], str]) -> list[str]:
    """The evaluation as text."""

    def row(name: str, tally: Tally) -> str:
        share = max(1, tally.asked)
        return (
            f"{name:12s} {tally.asked:6d}   first {tally.first / share:6.1%}   five {tally.five / share:6.1%}"
            f"   answered {(tally.answered + tally.wrong) / share:6.1%}   precision {tally.precision:6.1%}"
        )

    lines = [row("own crash", found.own), row("paraphrase", found.paraphrased)]
    lines.append(f"cross-fire   {found.cross_fire:.2%} of the quoted crashes are answered by a rule that is not theirs")
    lines.append(
        f"strangers    {found.strangers / max(1, found.own.asked):.1%} would be answered by another rule "
        "if their own were not known"
    )
    lines.append(
        f"unrelated    {found.unrelated.wrong} of {found.unrelated.asked} crashes of no known defect are answered"
    )
    for name, count in Counter(found.offenders + Counter(dict(offenders))).most_common(WORST):
        lines.append(f"  offender   {name} ({count}): {title_of(name)}")
    if found.missed:
        lines.append(
            f"not first on their own crash: {', '.join(found.missed[:40])}" + (" ..." if len(found.missed) > 40 else "")
        )
    return lines
