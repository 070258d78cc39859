"""What is said of a crash that is no bug of the kernel: what to do in place of an upgrade, and whom to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kbmatch.engine.facts import FACTS, Scene
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.logic import Truth
from kbmatch.engine.verdict import Verdict

MAX_BUGS = 3
"""Kernel bugs that are named beside it."""

_FIRST = {
    "hardware": "Look at the hardware: a new kernel will not help.",
    "configuration": "Look at the machine's configuration and load: a new kernel will not help.",
    "none": "There is nothing to mend in the kernel.",
}

_SETTINGS = (
    ("panic_on_warn set", "panic_on_warn", "a warning"),
    ("hung_task: blocked tasks", "hung_task_panic", "a blocked task"),
    ("softlockup: hung tasks", "softlockup_panic", "a busy CPU"),
    ("Hard LOCKUP", "hardlockup_panic", "a stuck CPU"),
    ("hard LOCKUP", "hardlockup_panic", "a stuck CPU"),
    ("RCU Stall", "panic_on_rcu_stall", "an RCU stall"),
)
"""What the panic says, the setting under /proc/sys/kernel that made it one, and what it made one of."""


def shown_findings(own: Sequence[Finding], outcome: str) -> list[Finding]:
    """The findings to show, the answer first: what explains the crash outside the kernel goes before kernel bugs that
    are merely possible.
    """
    shown = [finding for finding in own if finding.verdict.shown]
    if outcome == "not-a-kernel-bug":
        # a disk or a server that does not answer says more than the setting that made a panic of it
        shown.sort(key=lambda finding: (finding.verdict is not Verdict.NOT_A_KERNEL_BUG, is_setting(finding)))
    return shown


def other_advice(finding: Finding, diagnosis: Diagnosis) -> Iterator[str]:
    """What to do about a finding that is no kernel bug."""
    action = finding.recommend.action
    if action == "vendor":
        event = None if finding.event is None else diagnosis.incident.events[finding.event]
        module = event.culprit.module if event is not None and event.culprit is not None else None
        why = f": the module {module} is not the kernel's" if module else ""
        yield f"A new kernel is not known to help{why}."
    else:
        yield next(setting_behind(diagnosis), None) or _FIRST.get(action, _FIRST["none"])
    if finding.rule.workaround:
        yield finding.rule.workaround.strip()


def bugs_beside(shown: Sequence[Finding]) -> Iterator[str]:
    """The kernel bugs that the same crash resembles, where the answer is that it is none."""
    if not shown or shown[0].verdict is not Verdict.NOT_A_KERNEL_BUG:
        return
    bugs = [finding for finding in shown if finding.verdict is not Verdict.NOT_A_KERNEL_BUG]
    if bugs:
        named = "; ".join(f"{bug.rule.title} ({bug.rule.id}, {bug.verdict.value})" for bug in bugs[:MAX_BUGS])
        more = f"; and {len(bugs) - MAX_BUGS} more" if len(bugs) > MAX_BUGS else ""
        yield f"If that does not explain it, the crash also resembles: {named}{more}."


def shown_by_memory(diagnosis: Diagnosis) -> Iterator[str]:
    """Bugs that memory shows though no event does: why somebody crashed a machine by hand, say."""
    found = [f for f in diagnosis.of_event(None) if f.verdict.shown and f.verdict is not Verdict.NOT_A_KERNEL_BUG]
    if found:
        named = "; ".join(f"{bug.rule.title} ({bug.rule.id}, {bug.verdict.value})" for bug in found[:MAX_BUGS])
        yield f"Memory shows what may be the reason behind it: {named}."


def excepted(own: Sequence[Finding]) -> Iterator[str]:
    """What the crash would be, were there not an exception: a machine without memory whose kernel holds it, say."""
    for finding in own:
        if finding.verdict is Verdict.EXCEPTED and finding.rule.rule_class == "not-a-kernel-bug":
            pairs = zip(finding.rule.exceptions, finding.exceptions, strict=True)
            reasons = [item.reason for item, tree in pairs if tree.truth is Truth.TRUE]
            yield f"It looks as if {finding.rule.title} ({finding.rule.id}), but {'; '.join(reasons)}."


def is_setting(finding: Finding) -> bool:
    """Whether a rule that is no kernel bug rests on the words of such a setting: what the kernel was stopped for then
    is still open, and may be a bug of it.
    """
    said = [str(item.value) for item in finding.evidence if item.fact == "panic"]
    return finding.rule.action == "configuration" and any(words in text for text in said for words, _, _ in _SETTINGS)


def foreign_modules(diagnosis: Diagnosis) -> Iterator[str]:
    """Which modules from outside the kernel's tree stand in the trace of a crash whose culprit is the kernel's."""
    index = diagnosis.incident.fatal_index
    event = None if index is None else diagnosis.incident.events[index]
    if event is None or not event.module_taints:
        return
    tags = (frame.module for frame in (*event.trace, *(f for task in event.tasks for f in task.trace)))
    named = dict.fromkeys(tag for tag in tags if tag and {"O", "P"} & set(event.module_taints.get(tag, "")))
    if named:
        them = "it" if len(named) == 1 else "them"
        yield (
            f"In the trace, from outside the kernel's tree: {', '.join(list(named)[:5])}. "
            f"See whether it happens without {them}."
        )


def setting_behind(diagnosis: Diagnosis) -> Iterator[str]:
    """Which setting made the fatal event a panic, where the kernel would have gone on without it."""
    index = diagnosis.incident.fatal_index
    if index is None:
        return
    reasons = FACTS["panic"].read(Scene(diagnosis.incident, diagnosis.incident.events[index]))
    for reason in reasons if isinstance(reasons, tuple) else ():
        for words, setting, what in _SETTINGS:
            if words in str(reason):
                yield (
                    f"The panic itself is a setting: kernel.{setting} makes {what} one. "
                    "Without it the machine would have gone on."
                )
                return
