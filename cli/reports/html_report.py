"""The HTML report: one file, no script, nothing loaded; every text of the input escaped.

A content security policy forbids everything but this page's own style sheet, named by its hash, so that a text which
slipped through the escaping could neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from kbmatch.cli.reports.excerpt import Gap, excerpt
from kbmatch.cli.reports.page_style import STYLE
from kbmatch.cli.reports.view import ReportView, StateTable

_MAX_TEXT = 4000


def visible(text: str) -> str:
    """Text with what cannot be seen made visible: control characters and marks as their codes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


@lru_cache(maxsize=4096)
def _visible(character: str) -> str:
    code = ord(character)
    if character in "\t\n" or character.isprintable():
        return character
    if code < 0x20 or code == 0x7F:  # the pictures of U+2400 are missing in many fonts
        return f"\\x{code:02x}"
    if unicodedata.category(character) == "Zs":
        return " "
    return f"\\u{code:04x}"


def escape(text: object) -> str:
    """Any text as the content of an element or of a quoted attribute."""
    found = str(text)
    if len(found) > _MAX_TEXT:
        found = f"{found[:_MAX_TEXT]} ... ({len(found)} characters)"
    return html.escape(visible(found))


def html_report(view: ReportView) -> str:
    """The page, ASCII only, with a final line end."""
    style_hash = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'"
    page = "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="generator" content="kbmatch">',
            f"<title>{escape(view.word)} - {escape(_title(view))}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(view),
            "</main>",
            "</body>",
            "</html>",
        )
    )
    return page.encode("ascii", "xmlcharrefreplace").decode() + "\n"


def _title(view: ReportView) -> str:
    if view.findings:
        return view.findings[0].rule.title
    return view.fingerprint.words if view.fingerprint else view.source


def _body(view: ReportView) -> Iterator[str]:
    yield f'<header class="{escape(view.outcome)}">'
    yield f"<h1>{escape(view.word)}</h1>"
    yield f"<p>{escape(_sentence(view.sentence))}</p>"
    yield "</header>"
    yield from _findings(view)
    yield from _advice(view)
    if view.evidence:
        yield "<h2>Evidence</h2>"
        yield from _table(("fact", "value", "where"), ((r.fact, r.value, r.source) for r in view.evidence))
    if view.differential:
        yield "<h2>Differential diagnosis</h2>"
        yield from _paragraphs(view.differential)
    for table in view.tables:
        yield from _state(table)
    if view.crash:
        yield "<h2>The crash</h2>"
        yield from _pairs(view.crash)
    yield from _instruction(view)
    yield from _log(view)
    yield from _stack(view)
    if view.machine:
        yield "<h2>Machine and kernel</h2>"
        yield from _pairs(view.machine)
    if view.others:
        yield "<h2>Also in this log</h2>"
        yield from _list(view.others)
    if view.notes:
        yield "<h2>Notes</h2>"
        yield from _list(f"{level}: {text}" for level, text in view.notes)
    yield "<footer>"
    if view.fingerprint is not None:
        keys = view.fingerprint
        yield f'<p class="dim">Fingerprint <code>{keys.culprit}</code> <code>{keys.frames}</code>'
        yield f"<code>{keys.exact}</code>: {escape(keys.words)}</p>"
    yield f'<p class="dim">Input: {escape(view.source)}</p>'
    yield f'<p class="dim">Knowledge base: {escape(view.knowledge)}</p>'
    yield "</footer>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _findings(view: ReportView) -> Iterator[str]:
    many = len(view.findings) > 1
    for number, finding in enumerate(view.findings, 1):
        rule = finding.rule
        mark = f"{number}. " if many else ""
        yield f"<h3>{mark}{escape(rule.title)}</h3>"
        names = [rule.id, *rule.aliases, *(f"fix {fix.commit[:12]} ({fix.title})" for fix in rule.fixes)]
        yield f'<p class="dim">{escape(", ".join(names))}</p>'
        paragraphs = [part for part in rule.description.strip().split("\n\n") if part.strip()]
        if many:
            yield f"<details><summary>What goes wrong</summary>{''.join(_paragraphs(paragraphs))}</details>"
        else:
            yield from _paragraphs(paragraphs)


def _advice(view: ReportView) -> Iterator[str]:
    if not view.advice:
        return
    yield "<h2>What to do</h2>"
    for line in view.advice:
        if line.startswith("    "):
            yield f"<pre>{escape(line.strip())}</pre>"
        elif line.startswith("See http") and " " not in line[4:]:
            yield f'<p>See <a rel="noreferrer noopener" href="{escape(line[4:])}">{escape(line[4:])}</a></p>'
        else:
            yield f"<p>{escape(line)}</p>"


def _state(table: StateTable) -> Iterator[str]:
    yield f"<h2>Driver state: {escape(table.probe)}</h2>"
    yield f'<p class="dim">{escape(table.origin)}</p>'
    yield '<div class="scroll"><table><tr><th>field</th>'
    yield "".join(f'<th class="mono">{escape(name)}</th>' for name in table.columns) + "</tr>"
    for row, (name, cells) in enumerate(table.rows):
        shown = "".join(
            f'<td class="mono{" hit" if (row, column) in table.telling else ""}">{escape(cell)}</td>'
            for column, cell in enumerate(cells)
        )
        yield f"<tr><th>{escape(name)}</th>{shown}</tr>"
    yield "</table></div>"
    if table.left_out:
        yield f'<p class="dim">and {table.left_out} more records</p>'


def _instruction(view: ReportView) -> Iterator[str]:
    event = view.event
    if event is None or (event.instruction is None and event.code is None):
        return
    yield "<h2>The instruction</h2>"
    rows: list[tuple[str, str]] = []
    if event.instruction is not None:
        found = event.instruction
        rows.append(("decoded", found.text))
        if found.base is not None and found.displacement is not None:
            value = event.registers.get(found.base)
            told = "not known" if value is None else f"0x{value:x}"
            rows.append(("operand", f"{found.base} ({told}) {found.displacement:+#x}"))
        if found.explains_address is not None and event.address is not None:
            fits = "is" if found.explains_address else "is NOT"
            rows.append(("address", f"0x{event.address:x} {fits} what this operand gives"))
    if event.code:
        rows.append(("code bytes", event.code))
    yield from _pairs(rows, code=True)


def _log(view: ReportView) -> Iterator[str]:
    yield "<h2>The log</h2>"
    if not view.log:
        yield '<p class="dim">The log itself is not at hand (a signature file, a large archive).</p>'
        return
    marked = len(view.marked)
    yield f'<p class="dim">{len(view.log)} lines; {marked} that decided {"are" if marked != 1 else "is"} marked.</p>'
    yield '<div class="log">'
    head = view.event.line if view.event else None
    for item in excerpt(view.log, view.marked, head):
        if isinstance(item, Gap):
            count = item.last - item.first + 1
            where = f"line {item.first}" if count == 1 else f"lines {item.first} to {item.last}"
            yield f'<div class="gap">{where} left out</div>'
            continue
        why = f"<b>{escape(', '.join(item.why))}</b>" if item.why else ""
        hit = f' class="hit" id="line{item.number}"' if item.why else ""
        yield f"<div{hit}><i>{item.number}</i><code>{escape(item.text)}</code>{why}</div>"
    yield "</div>"


def _stack(view: ReportView) -> Iterator[str]:
    if view.frames:
        yield "<h2>Stack</h2>"
        yield '<ol class="frames mono">'
        for frame in view.frames:
            guess = "" if frame.reliable else ' class="guess"'
            mark = "" if frame.reliable else "? "
            yield f"<li{guess}>{mark}{escape(frame.printed or frame.symbol)}</li>"
        yield "</ol>"
    if view.registers:
        yield "<details open><summary>Registers</summary>"
        yield from _pairs(view.registers, code=True)
        yield "</details>"


def _pairs(rows: Iterable[tuple[str, str]], *, code: bool = False) -> Iterator[str]:
    yield "<dl>"
    for name, value in rows:
        shown = f"<code>{escape(value)}</code>" if code else escape(value)
        yield f'<dt>{escape(name)}</dt><dd class="bidi">{shown}</dd>'
    yield "</dl>"


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield '<div class="scroll"><table><tr>' + "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f'<td class="bidi">{escape(cell)}</td>' for cell in row) + "</tr>"
    yield "</table></div>"


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    yield from (f"<p>{escape(' '.join(text.split()))}</p>" for text in texts)


def _list(items: Iterable[str]) -> Iterator[str]:
    yield "<ul>" + "".join(f'<li class="bidi">{escape(item)}</li>' for item in items) + "</ul>"
