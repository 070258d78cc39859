"""The text report: the verdict first, then the crash, the evidence, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from kbmatch.cli.not_kernel import shown_findings
from kbmatch.cli.state_table import state_section
from kbmatch.cli.style import Style, plain_text
from kbmatch.cli.wording import (
    advice,
    differential,
    equals,
    event_lines,
    headline,
    kernel_name,
    machine_name,
    version_phrase,
)
from kbmatch.engine.condition import show
from kbmatch.engine.explanation import Explanation
from kbmatch.engine.finding import Diagnosis, Finding
from kbmatch.engine.incident import Incident
from kbmatch.engine.logic import Truth
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.store.knowledge import KnowledgeBase

WIDTH = 100
MAX_LISTED = 8
"""Equal findings that are listed; --all explains every one."""


def text_report(diagnosis: Diagnosis, knowledge: KnowledgeBase, *, colour: bool, everything: bool) -> str:
    """The whole report, without a final line end. With `everything`, findings that are not answers too, and why."""
    style = Style(colour)
    return "\n".join(_lines(diagnosis, knowledge, style, everything)).rstrip()


def _lines(diagnosis: Diagnosis, knowledge: KnowledgeBase, style: Style, everything: bool) -> Iterator[str]:
    fatal = diagnosis.incident.fatal_index
    own = [f for f in diagnosis.findings if f.event == fatal and f.event is not None]
    shown = shown_findings(own, diagnosis.outcome)
    word, text = headline(diagnosis, shown, knowledge)
    yield style.verdict(word, diagnosis.outcome) + "  " + style.bold(text)
    yield ""
    if shown:
        yield from _findings(shown, own, style)
    if diagnosis.incident.events:
        yield from _crash(diagnosis, style)
    if shown:
        yield from _evidence(shown, diagnosis.incident, style)
        yield from state_section(shown, diagnosis.incident, knowledge, style, WIDTH)
    yield from _section("What to do", advice(diagnosis, shown, own, knowledge), style)
    yield from _others(diagnosis, everything, style)
    if everything:
        from kbmatch.engine.weak import with_weak

        yield from _explanations(with_weak(diagnosis, knowledge, knowledge.products), style)
    yield from _notes(diagnosis, style)
    yield style.dim(f"knowledge base: {knowledge.stamp.line()}")


def _findings(shown: list[Finding], own: list[Finding], style: Style) -> Iterator[str]:
    tied = [f for f in shown if f.tied] if shown[0].tied else []
    best = tied[:MAX_LISTED] or equals(shown)[:MAX_LISTED]
    for number, finding in enumerate(best, 1):
        mark = f"{number}. " if len(best) > 1 else ""
        if len(best) > 1 or finding.verdict is not Verdict.NOT_A_KERNEL_BUG:  # there the headline is the title
            yield f"  {mark}{style.bold(finding.rule.title)}"
        fixes = [f"fix {fix.commit[:12]}" for fix in finding.rule.fixes]
        backports = [f"{len(fixes) - 2} more"] if len(fixes) > 3 else fixes[2:]
        aliases = [alias for alias in finding.rule.aliases if alias.lower() != finding.rule.id]
        names = [finding.rule.id, *aliases, *fixes[:2], *backports]
        yield f"  {' ' * len(mark)}{style.dim(', '.join(names))}"
        if len(best) == 1:
            yield from _wrapped(finding.rule.description, "  ")
    for line in differential(best, own):
        yield from _wrapped(line, "  ")
    yield ""


def _crash(diagnosis: Diagnosis, style: Style) -> Iterator[str]:
    incident = diagnosis.incident
    event = incident.events[incident.fatal_index or 0]
    rows = list(event_lines(event))
    rows.append(("kernel", kernel_name(incident.kernel)))
    if (machine := machine_name(incident.machine)) is not None:
        rows.append(("machine", machine))
    yield style.heading("The crash")
    yield from _table(rows)
    yield ""


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        lines = textwrap.wrap(plain_text(value), WIDTH - width - 4, break_on_hyphens=False) or [""]
        yield f"  {name:<{width}}  {lines[0]}"
        for line in lines[1:]:
            yield f"  {'':<{width}}  {line}"


def _evidence(shown: list[Finding], incident: Incident, style: Style) -> Iterator[str]:
    yield style.heading("Evidence")
    rows: dict[tuple[str, str], None] = {}
    for finding in shown:
        if finding.verdict is not shown[0].verdict:
            continue
        for item in finding.evidence:
            value = show(item.value, item.fact == "address")
            rows[item.fact, f"{value}  ({item.source})" if item.source else value] = None
        for condition in finding.rule.state:
            if (state := incident.state.get(condition.probe)) is not None:
                why = f": {state.why}" if state.why else ""
                rows[condition.probe, f"read from the {state.origin}{why}"] = None
        if finding.verdict is not Verdict.NOT_A_KERNEL_BUG or finding.rule.affected:
            rows["version", version_phrase(finding)] = None
    yield from _table(list(rows))
    yield ""


def _section(title: str, lines: list[str], style: Style) -> Iterator[str]:
    if not lines:
        return
    yield style.heading(title)
    for line in lines:
        if line.startswith("    "):
            yield "  " + line  # a command: never wrapped
        else:
            yield from _wrapped(line, "  ")
    yield ""


def _others(diagnosis: Diagnosis, everything: bool, style: Style) -> Iterator[str]:
    """The other events of the log, and what is known of them."""
    fatal = diagnosis.incident.fatal_index
    rows: list[str] = []
    for index, event in enumerate(diagnosis.incident.events):
        if index == fatal:
            continue
        found = next((f for f in diagnosis.of_event(index) if f.verdict.shown), None)
        known = f" - {found.verdict.value}: {found.rule.id}" if found else ""
        place = f"line {event.line}: " if event.line is not None else ""
        rows.append(f"{place}{event.kind} in {event.symbol or 'an unknown function'}{known}")
    rows += [
        f"memory alone: {f.verdict.value}: {f.rule.title} ({f.rule.id})"
        for f in diagnosis.of_event(None)
        if f.verdict.shown
    ]
    limit = len(rows) if everything else 10
    if len(rows) > limit:
        rows = [*rows[:limit], f"... and {len(rows) - limit} more (--all shows them)"]
    yield from _section("Also in this log", rows, style)


def _explanations(diagnosis: Diagnosis, style: Style) -> Iterator[str]:
    yield style.heading("Why, rule by rule")
    if not diagnosis.findings:
        yield "  no rule of the knowledge base has a fact in common with this crash"
    for finding in diagnosis.findings:
        where = "" if finding.event is None else f", event {finding.event}"
        yield f"  {style.bold(finding.rule.id)}: {finding.verdict.value}{where}"
        for name, trees in (("signature", (finding.signature,)), ("state", finding.state)):
            for tree in trees:
                yield from _tree(tree, f"    {name}: ", 4)
        yield f"    version: {finding.version.status.value}: {finding.version.why}"
    yield ""


_MARKS = {Truth.TRUE: "yes", Truth.FALSE: "no ", Truth.UNKNOWN: "?  "}


def _tree(node: Explanation, prefix: str, indent: int) -> Iterator[str]:
    found = ""
    if node.fact is not None:
        found = f" - it is {show(node.observed)}" if node.observed is not None else f" - {node.why or 'unknown'}"
        found += f" ({node.source})" if node.source else ""
    elif node.why:
        found = f" - {node.why}"
    yield plain_text(f"{prefix}[{_MARKS[node.truth]}] {node.label}{found}")
    for child in node.children:
        yield from _tree(child, " " * (indent + 4), indent + 4)


def _notes(diagnosis: Diagnosis, style: Style) -> Iterator[str]:
    notes = diagnosis.incident.notes
    if not notes:
        return
    yield style.heading("Notes")
    for note in notes:
        yield from _wrapped(f"{note.level}: {note.text}", "  ")
    yield ""


def _wrapped(text: str, indent: str) -> Iterator[str]:
    for paragraph in plain_text(text).strip().split("\n\n"):
        yield from textwrap.wrap(
            " ".join(paragraph.split()), WIDTH, initial_indent=indent, subsequent_indent=indent,
            break_on_hyphens=False, break_long_words=False,
        )  # fmt: skip
