"""The sentences of reports: what verdicts, kernels and events are called, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import PurePath

from kbmatch.cli.not_kernel import (
    bugs_beside,
    excepted,
    foreign_modules,
    is_setting,
    other_advice,
    setting_behind,
    shown_by_memory,
)
from kbmatch.cli.style import shell_name
from kbmatch.engine.affected import VersionStatus
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.finding import Diagnosis, Finding, Sibling
from kbmatch.engine.incident import Kernel, Machine
from kbmatch.engine.logic import Truth
from kbmatch.engine.products import Product
from kbmatch.engine.signature import Culprit, Signature
from kbmatch.engine.similarity import LIKELY
from kbmatch.engine.ties import MARGIN, is_scored
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.store.knowledge import KnowledgeBase

_WORDS = {
    Verdict.CONFIRMED: "CONFIRMED",
    Verdict.LIKELY: "LIKELY",
    Verdict.ALREADY_FIXED: "ALREADY FIXED",
    Verdict.POSSIBLE: "POSSIBLE",
    Verdict.NOT_A_KERNEL_BUG: "NOT A KERNEL BUG",
}


def headline(diagnosis: Diagnosis, shown: Sequence[Finding], knowledge: KnowledgeBase) -> tuple[str, str]:
    """The verdict's word and one sentence."""
    if not shown:
        if diagnosis.outcome == "no-crash":
            return "NO CRASH", "this input shows no kernel crash"
        return "NOT KNOWN", f"none of the {knowledge.stamp.rules} rules fits this crash"
    best = shown[0]
    if best.version_conflict:
        return (
            "CONFIRMED, BUT",
            f"this version should not have the bug: {best.version.why}",
        )
    if best.tied:
        return "NO SINGLE ANSWER", _tie_phrase(best.tied, [f for f in shown if f.tied])
    ties = len(equals(shown))
    what = "a known bug" if ties == 1 else f"one of {ties} known bugs that leave the same trace"
    if best.verdict in (Verdict.CONFIRMED, Verdict.LIKELY):
        return _WORDS[best.verdict], f"{what}{_fix_phrase(best, knowledge)}"
    if best.verdict is Verdict.ALREADY_FIXED:
        return _WORDS[best.verdict], f"it looks like {what}, but {best.version.why}"
    if best.verdict is Verdict.POSSIBLE and is_scored(best) and best.score < LIKELY:
        return _WORDS[best.verdict], f"it resembles {what}, but too little to say that it is the same"
    if best.verdict is Verdict.POSSIBLE:
        return _WORDS[best.verdict], f"it looks like {what}; whether this kernel has it is not known"
    if is_setting(best):  # the class says no bug, but only of the panic
        return "A SETTING, CAUSE OPEN", best.rule.title
    return _WORDS[best.verdict], best.rule.title


def equals(shown: Sequence[Finding]) -> list[Finding]:
    """The findings that say as much as the first: of the same verdict, and none that resembles clearly less."""
    best = shown[0]
    least = best.score - MARGIN if is_scored(best) else 0.0
    return [f for f in shown if f.verdict is best.verdict and (not is_scored(f) or f.score >= least)]


def _tie_phrase(count: int, tied: Sequence[Finding]) -> str:
    """How many rules tie, of which subsystem, and the functions that all of them share with the crash."""
    places = dict.fromkeys(PurePath((f.rule.file or "").partition("#")[0]).stem for f in tied)
    frames = [{*e.value} for f in tied for e in f.evidence if e.fact == "frame" and isinstance(e.value, tuple)]
    first = next((e.value for e in tied[0].evidence if e.fact == "frame" and isinstance(e.value, tuple)), ())
    shared = [str(name) for name in first if all(name in names for names in frames)][:4]
    where = f" in {', '.join(list(places)[:3])}" if any(places) else ""
    return f"{count} known bugs{where} leave this trace alike" + (f": {' < '.join(shared)}" if shared else "")


def _fix_phrase(finding: Finding, knowledge: KnowledgeBase) -> str:
    version = finding.version
    product = knowledge.products.get(version.product)
    if version.status is VersionStatus.AFFECTED and version.fixed is not None:
        name = "upstream" if version.by_upstream else product.name if product else "this product"
        return f", fixed in {name} {version.fixed}"
    if version.status is VersionStatus.AFFECTED:
        return "; no fixed version is known for this kernel"
    return "; which version of this kernel fixes it is not known"


def version_phrase(finding: Finding) -> str:
    """The version's part of the evidence, with the source of the table."""
    source = f"  (source: {finding.version.source})" if finding.version.source else ""
    return finding.version.why + source


def kernel_name(kernel: Kernel) -> str:
    """Release, product and taint in one line."""
    parts = [kernel.release or "release unknown"]
    if kernel.product:
        parts.append(kernel.product + (f" stream {kernel.stream}" if kernel.stream else ""))
    if kernel.package_version:
        parts.append(f"package {kernel.package_version}")
    if kernel.taint is not None:
        parts.append("tainted " + " ".join(kernel.taint) if kernel.taint else "not tainted")
    if kernel.livepatched:
        parts.append("live-patched")
    return ", ".join(parts)


def machine_name(machine: Machine) -> str | None:
    """Hardware, hypervisor and host in one line; None if nothing is known."""
    parts = [machine.hardware, machine.hypervisor and f"on {machine.hypervisor}", machine.hostname]
    if machine.cpus is not None:
        parts.append(f"{machine.cpus} CPUs")
    return ", ".join(part for part in parts if part) or None


def _is_printed(culprit: Culprit, event: Signature) -> bool:
    """Whether the culprit's name stands in the trace: it may be the one name of a family of functions instead."""
    return any(frame.symbol == culprit.symbol for frame in event.trace)


def event_lines(event: Signature) -> Iterator[tuple[str, str]]:
    """The event as rows of a table."""
    line = f"  (line {event.line})" if event.line is not None else ""
    yield "message", event.message + line
    if event.printed or event.symbol:
        where = event.printed or event.symbol or ""
        if event.culprit is not None and event.culprit.symbol != event.symbol and _is_printed(event.culprit, event):
            tag = f" [{event.culprit.module}]" if event.culprit.module else ""
            where += f", called from {event.culprit.symbol}{tag}"
        yield "in", where
    elif event.culprit is not None:
        yield "in", event.culprit.symbol
    if event.source_line:
        yield "source", event.source_line
    who = []
    if event.cpu is not None:
        who.append(f"CPU {event.cpu}")
    if event.comm is not None:
        who.append(event.comm + (f" (pid {event.pid})" if event.pid is not None else ""))
    if event.context != "unknown":
        who.append(event.context)
    if who:
        yield "on", ", ".join(who)
    for task in event.tasks[:3]:
        yield "blocked", f"{task.comm or 'a task'} (pid {task.pid}) for {task.seconds} seconds"
    if event.instruction is not None:
        yield "instruction", event.instruction.text + _instruction_words(event)
    reliable = [frame.symbol for frame in event.trace if frame.reliable]
    if reliable:
        yield "called by", " < ".join(reliable[:6]) + (" < ..." if len(reliable) > 6 else "")


def _instruction_words(event: Signature) -> str:
    instruction = event.instruction
    if instruction is None or instruction.base is None or instruction.displacement is None:
        return ""
    value = event.registers.get(instruction.base)
    if not instruction.explains_address or value is None:
        return ""
    sign = "-" if instruction.displacement < 0 else "+"
    step = f" {sign} 0x{abs(instruction.displacement):x}" if instruction.displacement else ""
    if value == 0:
        return f"   (NULL{step} through {instruction.base})"
    return f"   ({instruction.base} is 0x{value:x}{step and ',' + step + ' is the faulting address'})"


def differential(best: Sequence[Finding], own: Sequence[Finding]) -> Iterator[str]:
    """What tells the siblings apart: what would separate those that tie, and why the others are out."""
    tied = {f.rule.id for f in best}
    if len(best) > 1:
        wanted = dict.fromkeys(
            leaf.label for f in best for tree in f.state for leaf in tree.leaves() if leaf.truth is Truth.UNKNOWN
        )
        if wanted:
            yield "Nothing in this input tells them apart. The driver's state in memory would:"
            for finding in best:
                tests = [leaf.label for tree in finding.state for leaf in tree.leaves()]
                probes = ", ".join(dict.fromkeys(condition.probe for condition in finding.rule.state))
                if tests:
                    yield f"- {finding.rule.id} if a record of {probes} has {' and '.join(tests)}"
    seen: set[str] = set()
    for finding in best:
        for sibling in finding.siblings:
            if sibling.rule in tied or sibling.rule in seen:
                continue
            if finding.verdict is Verdict.NOT_A_KERNEL_BUG and sibling.verdict in (None, Verdict.INCOMPLETE):
                continue  # the other ways to run out of memory, say
            seen.add(sibling.rule)
            yield _sibling_line(sibling)


def _sibling_line(sibling: Sibling) -> str:
    reasons = "; ".join(_reason(leaf) for leaf in sibling.separated_by)
    if sibling.verdict is None:
        return f"Ruled out: {sibling.rule} ({sibling.title}): {reasons}."
    if sibling.verdict is Verdict.REFUTED:
        return f"Refuted: {sibling.rule} ({sibling.title}): {reasons}."
    return f"Also {sibling.verdict.value}: {sibling.rule} ({sibling.title})."


def _reason(leaf: Explanation) -> str:
    from kbmatch.engine.condition import show

    hexadecimal = leaf.fact == "address"
    here = "unknown here" if leaf.observed is None else f"here it is {show(leaf.observed, hexadecimal)}"
    return f"it needs {leaf.label}, {here}" + (f" ({leaf.source})" if leaf.source else "")


def advice(
    diagnosis: Diagnosis, shown: Sequence[Finding], own: Sequence[Finding], knowledge: KnowledgeBase
) -> list[str]:
    """What to do, as lines; a line that begins with four blanks is a command to copy."""
    if diagnosis.outcome == "no-crash":
        from kbmatch.cli.around import troubles

        expected = "If a crash was expected: name the vmcore, or the log of the boot that crashed."
        found = list(troubles(diagnosis))
        return [*found, expected] if found else [f"Nothing to diagnose. {expected}"]
    if not shown:
        from kbmatch.cli.around import earlier_damage, starved
        from kbmatch.cli.unknown import unknown_advice

        first = (*excepted(own), *setting_behind(diagnosis), *foreign_modules(diagnosis))
        around = (*earlier_damage(diagnosis), *starved(diagnosis))
        return [*first, *around, *unknown_advice(diagnosis, knowledge)]
    finding = shown[0]
    product = knowledge.products.get(finding.version.product)
    action = finding.recommend.action
    lines: list[str] = []
    if finding.verdict is Verdict.NOT_A_KERNEL_BUG:
        lines += [*other_advice(finding, diagnosis), *bugs_beside(shown), *shown_by_memory(diagnosis)]
        if any(setting_behind(diagnosis)):  # what lies beneath is open
            from kbmatch.cli.unknown import unknown_advice

            lines += islice(unknown_advice(diagnosis, knowledge), 2)
    elif action == "upgrade":
        lines.append(_upgrade(finding, product))
        lines += [f"    {command}" for command in finding.recommend.commands]
        if product is not None and product.livepatch:
            lines.append(product.livepatch)
    elif action == "vendor":
        fixes = ", ".join(f"{', '.join(commits)} ({title})" for title, commits in _by_title(finding).items())
        aliases = "".join(f" or {alias}" for alias in finding.rule.aliases)
        if diagnosis.incident.kernel.release is None:
            lines += _which_kernel(diagnosis)
            lines.append("Without it:")
        elif finding.version.fixed is not None and finding.version.status is VersionStatus.UNKNOWN:
            lines.append(f"{finding.version.why[:1].upper()}{finding.version.why[1:]}.")
        else:
            lines.append("No fixed version is known for this kernel.")
        lines[-1] += f" Look in the vendor's changelog for {fixes}{aliases}."
        lines += [f"    {command}" for command in finding.recommend.commands]
    elif action == "escalate":
        lines.append(
            "Do not upgrade for this. Escalate: an incomplete fix, a wrong table, a regression or another bug with the "
            "same face. Say which rule fitted and that the kernel should already have the fix."
        )
    if finding.verdict is not Verdict.NOT_A_KERNEL_BUG:
        lines += [*setting_behind(diagnosis), *foreign_modules(diagnosis)]
        if {"D", "B", "M"} & set(diagnosis.incident.kernel.taint or ()):
            from kbmatch.cli.around import earlier_damage

            lines += earlier_damage(diagnosis)
    if finding.verdict in (Verdict.LIKELY, Verdict.POSSIBLE) and finding.rule.state:
        probes = ", ".join(condition.probe for condition in finding.rule.state)
        lines.append(f"To be sure: the vmcore, or a crash session that prints the state, would show {probes}.")
    if finding.rule.workaround and finding.verdict is not Verdict.NOT_A_KERNEL_BUG:
        lines.append(f"Until then: {finding.rule.workaround.strip()}")
    lines += [f"See {reference}" for reference in finding.rule.references]
    return lines


def _which_kernel(diagnosis: Diagnosis) -> list[str]:
    """How to tell which kernel ran, as lines."""
    return [
        "The input does not say which kernel ran. Name it, and its version is judged:",
        f"    kbmatch core --kernel RELEASE {shell_name(diagnosis.incident.source.path)}",
    ]


def _upgrade(finding: Finding, product: Product | None) -> str:
    """The sentence that says which kernel to go to; a colon at its end where commands follow."""
    version, end = finding.recommend.version, "then reboot" + (":" if finding.recommend.commands else ".")
    if product is not None and not product.package and product.tracks_stable and product.scheme == "upstream":
        commits = [fix.commit for fix in finding.rule.fixes]
        taken = f", or take over the fix {commits[0][:12]}" if commits else ""
        return f"Build the kernel from upstream's {version} or later{taken}, {end}"
    name = f"upstream's {version}" if finding.version.by_upstream else version
    what = f"the kernel of {product.name}" if product else "the kernel"
    return f"Upgrade {what} to {name} or later, {end}"


def _by_title(finding: Finding) -> dict[str, list[str]]:
    """The fixes' commits by title: a fix has one in mainline (first) and one in each stable branch."""
    found: dict[str, list[str]] = {}
    for fix in finding.rule.fixes:
        found.setdefault(fix.title, []).append(fix.commit[:12])
    return found
