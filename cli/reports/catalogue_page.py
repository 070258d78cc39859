"""The catalogue as one HTML file: curated rules in full, mined ones as a table, and a search box.

It loads nothing and runs from a file: a content security policy allows only this page's own style and script, named by
their hashes. Without a script it is a plain page, with every rule in it.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterator, Sequence

from kbmatch.cli.reports.catalogue_assets import SCRIPT, STYLE
from kbmatch.cli.reports.html_report import escape
from kbmatch.engine.affected import Affected
from kbmatch.engine.condition import AnyTask, Combination, Condition
from kbmatch.engine.products import Products
from kbmatch.kb.authoring.catalogue import Entry
from kbmatch.kb.store.knowledge import KnowledgeStamp

MAX_BYTES = 2 << 20
"""Of the page; a reader's browser should not have to think about it."""
_CVE = "https://www.cve.org/CVERecord?id="
_COMMIT = "https://git.kernel.org/linus/"


def catalogue_page(entries: Sequence[Entry], products: Products, stamp: KnowledgeStamp) -> str:
    """The page, ASCII only, with a final line end."""
    curated = sorted((e for e in entries if e.curated), key=lambda e: (e.subsystem, e.rule.id))
    mined = sorted((e for e in entries if not e.curated), key=lambda e: _by_year(e.rule.id), reverse=True)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>kbmatch: what is known</title><style>{STYLE}</style></head><body><main>",
            "<header><h1>What kbmatch knows</h1>",
            f"<p>{escape(stamp.line())}</p></header>",
            *_search(entries),
            f"<h2>Curated rules <small>{len(curated)}</small></h2>",
            *_curated(curated, products),
            f"<h2>Mined rules <small>{len(mined)}</small></h2>",
            "<p>From the kernel's CVE records: titles are those of the fixes, versions are upstream's unless a vendor "
            "is named. A record is at https://www.cve.org/CVERecord?id= and its id.</p>",
            '<div class="scroll"><table id="mined"><thead><tr><th>rule<th>what goes wrong<th>subsystem<th>kinds'
            "<th>functions<th>fixed in</thead><tbody>",
            *map(_row, mined),
            "</tbody></table></div>",
            f"</main><script>{SCRIPT}</script></body></html>",
        )
    )
    return page.encode("ascii", "xmlcharrefreplace").decode() + "\n"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _by_year(rule_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in rule_id.split("-") if part.isdigit())


def _search(entries: Sequence[Entry]) -> Iterator[str]:
    yield '<form id="search" role="search" hidden><label for="words">Search</label>'
    yield '<input id="words" type="search" autocomplete="off" spellcheck="false" '
    yield 'placeholder="function, module, CVE, version, words of the title">'
    tiers = ("curated", "mined", "not-a-kernel-bug")
    for name, title, values in (
        ("tier", "Which", tiers),
        ("kind", "Kind", sorted({kind for e in entries for kind in e.kinds})),
        ("subsystem", "Subsystem", sorted({e.subsystem for e in entries})),
    ):
        options = "".join(f"<option>{escape(value)}" for value in values)
        yield f'<label for="{name}">{title}</label><select id="{name}"><option value="">all{options}</select>'
    yield '<output id="found" aria-live="polite"></output></form>'


def _curated(entries: Sequence[Entry], products: Products) -> Iterator[str]:
    before = None
    for entry in entries:
        if entry.subsystem != before:
            if before is not None:
                yield "</section>"
            yield f"<section><h3>{escape(entry.subsystem)}</h3>"
            before = entry.subsystem
        yield from _rule(entry, products)
    if before is not None:
        yield "</section>"


def _rule(entry: Entry, products: Products) -> Iterator[str]:
    rule = entry.rule
    kinds = " ".join(entry.kinds)
    yield (
        f'<details class="rule" id="{escape(rule.id)}" data-kind="{escape(kinds)}" '
        f'data-subsystem="{escape(entry.subsystem)}" data-class="{escape(rule.rule_class)}">'
    )
    yield f"<summary><b>{escape(rule.title)}</b> <code>{escape(rule.id)}</code></summary>"
    yield from (f"<p>{escape(' '.join(part.split()))}</p>" for part in rule.description.strip().split("\n\n"))
    yield "<dl>"
    what = f"{rule.status}, severity {rule.severity}, {rule.created}"
    if rule.rule_class != "kernel-bug":
        what += f"; no bug of the kernel, action: {rule.action or 'none'}"
    yield f"<dt>status<dd>{escape(what)}"
    if rule.aliases:
        yield f"<dt>known as<dd>{', '.join(map(_alias, rule.aliases))}"
    yield f"<dt>fits<dd><pre>{escape(chr(10).join(_tree(rule.signature)))}</pre>"
    for condition in rule.state:
        tree = "\n".join(_tree(condition.any_record))
        yield f"<dt>memory<dd>a record of {escape(condition.probe)} has<pre>{escape(tree)}</pre>"
    for item in rule.exceptions:
        yield f"<dt>not if<dd>{escape(item.reason)}"
    for affected in rule.affected:
        yield f"<dt>affected<dd>{_affected(affected, products)}"
    for fix in rule.fixes:
        yield f'<dt>fix<dd><a href="{_COMMIT}{escape(fix.commit)}">{escape(fix.commit[:12])}</a> {escape(fix.title)}'
    if rule.workaround:
        word = "what to do" if rule.rule_class != "kernel-bug" else "until then"
        yield f"<dt>{word}<dd>{escape(' '.join(rule.workaround.split()))}"
    if rule.related:
        yield f"<dt>related<dd>{', '.join(map(_related, rule.related))}"
    for reference in rule.references:
        yield f"<dt>source<dd>{_link(reference)}"
    yield "</dl></details>"


def _alias(alias: str) -> str:
    return f'<a href="{_CVE}{escape(alias)}">{escape(alias)}</a>' if alias.startswith("CVE-") else escape(alias)


def _related(rule_id: str) -> str:
    return f'<a href="#{escape(rule_id)}">{escape(rule_id)}</a>'


def _link(reference: str) -> str:
    if reference.startswith(("https://", "http://")):
        return f'<a href="{escape(reference)}">{escape(reference)}</a>'
    return escape(reference)


def _affected(affected: Affected, products: Products) -> str:
    product = products.get(affected.product)
    ranges = []
    for one in affected.ranges:
        line = f"{one.branch or one.stream}: " if one.branch or one.stream else ""
        since = {"0": "always", "unknown": "since when is not known"}.get(one.introduced, f"from {one.introduced}")
        ranges.append(f"{line}{since}, {f'fixed in {one.fixed}' if one.fixed else 'no fix known'}")
    source = f" <small>source: {escape(affected.source)}</small>" if affected.source else ""
    return f"{escape(product.name if product else affected.product)}: {escape('; '.join(ranges))}{source}"


def _tree(condition: Condition, indent: str = "") -> Iterator[str]:
    """A condition as indented lines."""
    if isinstance(condition, AnyTask):
        yield f"{indent}one blocked task with:"
    elif isinstance(condition, Combination):
        counted = condition.combinator == "at-least"
        yield f"{indent}{f'at least {condition.count} of' if counted else condition.combinator}:"
    else:
        yield indent + condition.label()
    for child in condition.children if isinstance(condition, (AnyTask, Combination)) else ():
        yield from _tree(child, indent + "  ")


def _row(entry: Entry) -> str:
    """End tags that HTML lets out are left out: it saves a quarter of the page."""
    cells = (
        entry.rule.id, entry.rule.title, entry.subsystem, " ".join(entry.kinds), " ".join(entry.functions),
        ", ".join(entry.fixed),
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells)
