"""The Markdown report, made to be pasted into tickets: plain GitHub-flavoured Markdown that reads well as text too.

Texts of the input stand in code spans, fences and escaped cells: no mention, link, image or HTML of theirs takes
effect in a ticket system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kbmatch.cli.reports.excerpt import Gap, excerpt
from kbmatch.cli.reports.html_report import visible
from kbmatch.cli.reports.view import ReportView, StateTable

MAX_LOG_LINES = 60
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$@!&])")
_START = re.compile(r"^(\s*)([-+=]|\d+[.)])(?=\s|=|-|$)")


def plain(text: str) -> str:
    """Text in which nothing is markup."""
    one_line = " ".join(visible(text).split())
    return _START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", one_line))


def code(text: str) -> str:
    """A code span that holds the text whatever backticks are in it; safe in a table's cell."""
    shown = " ".join(visible(text).split()).replace("|", "\\|")
    if not shown:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def fenced(lines: Iterable[str]) -> Iterator[str]:
    """A block of code whose fence is longer than any inside."""
    shown = [visible(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}text"
    yield from shown
    yield fence


def markdown_report(view: ReportView) -> str:
    """The report, with a final line end."""
    return "\n".join(_lines(view)).rstrip() + "\n"


def _lines(view: ReportView) -> Iterator[str]:
    yield f"# {view.word}: {plain(view.sentence)}"
    yield ""
    for finding in view.findings:
        rule = finding.rule
        yield f"**{plain(rule.title)}**"
        names = [rule.id, *rule.aliases]
        yield f"({', '.join(code(name) for name in names)})"
        yield ""
        for fix in rule.fixes:
            yield f"- fix {code(fix.commit[:12])} {plain(fix.title)}"
        if len(view.findings) == 1:
            yield ""
            for part in rule.description.strip().split("\n\n"):
                yield plain(part)
                yield ""
        yield ""
    yield from _advice(view)
    if view.evidence:
        yield "## Evidence"
        yield ""
        yield from _table(("fact", "value", "where"), ((r.fact, r.value, r.source) for r in view.evidence))
    if view.differential:
        yield "## Differential diagnosis"
        yield ""
        for line in view.differential:
            yield f"- {plain(line.removeprefix('- '))}"
        yield ""
    for table in view.tables:
        yield from _state(table)
    if view.crash:
        yield "## The crash"
        yield ""
        yield from _table(("", ""), view.crash)
    yield from _log(view)
    if view.frames:
        yield "## Stack"
        yield ""
        yield from fenced(("  " if f.reliable else "? ") + (f.printed or f.symbol) for f in view.frames)
        yield ""
    yield from _list("Also in this log", view.others)
    yield from _list("Notes", (f"{level}: {text}" for level, text in view.notes))
    yield "---"
    yield ""
    if view.fingerprint is not None:
        keys = view.fingerprint
        yield f"Fingerprint: {code(keys.culprit)} {code(keys.frames)} {code(keys.exact)}  "
    yield f"Input: {code(view.source)}  "
    yield f"Knowledge base: {plain(view.knowledge)}"


def _advice(view: ReportView) -> Iterator[str]:
    if not view.advice:
        return
    yield "## What to do"
    yield ""
    for line in view.advice:
        if line.startswith("    "):
            yield from fenced([line.strip()])
        elif line.startswith("See http") and not re.search(r"[\s<>()]", line[4:]):
            yield f"See <{line[4:]}>"
        else:
            yield plain(line)
        yield ""


def _state(table: StateTable) -> Iterator[str]:
    yield f"## Driver state: {plain(table.probe)}"
    yield ""
    yield plain(table.origin)
    yield ""
    rows = (
        (name, *(f"{cell} <-" if (row, column) in table.telling else cell for column, cell in enumerate(cells)))
        for row, (name, cells) in enumerate(table.rows)
    )
    yield from _table(("field", *table.columns), rows)


def _log(view: ReportView) -> Iterator[str]:
    if not view.log or view.event is None:
        return
    yield "## The log"
    yield ""
    shown: list[str] = []
    for item in excerpt(view.log, view.marked, view.event.line):
        if isinstance(item, Gap):
            continue
        mark = ">" if item.why else " "
        if item.number >= (view.event.line or 1) - 3 and len(shown) < MAX_LOG_LINES:
            shown.append(f"{mark}{item.number:6d}  {item.text}")
    if view.marked:
        yield "Lines that decided are marked with `>`."
        yield ""
    yield from fenced(shown)
    yield ""


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {plain(item)}" for item in items]
    if lines:
        yield f"## {title}"
        yield ""
        yield from lines
        yield ""


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    listed = list(names)
    yield "| " + " | ".join(plain(name) for name in listed) + " |"
    yield "|" + "---|" * len(listed)
    for row in rows:
        first, *rest = row
        yield "| " + " | ".join([plain(first), *(code(cell) for cell in rest)]) + " |"
    yield ""
