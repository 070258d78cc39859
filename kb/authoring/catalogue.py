"""The catalogue: what each rule is about in a few columns, for people who want to know what is known.

The page (cli/reports/catalogue_page.py) shows all rules; the index of curated rules, docs/rules.md, is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kbmatch.engine.condition import Condition, Leaf
from kbmatch.engine.products import UPSTREAM, Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.similarity import Similar
from kbmatch.engine.values import dataclass

MAX_FUNCTIONS = 5
_FUNCTIONS = ("symbol", "culprit", "frame", "task-frame")
_OTHERS = ("panic", "culprit-module")


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule in the catalogue: its subsystem, the kinds of crash and functions that it names, what fixes it.

    `functions` are, for rules that name none, the words of the panic or the modules. `fixed` are versions, those of
    vendors with the product's name before them.
    """

    rule: Rule
    subsystem: str
    curated: bool
    kinds: tuple[str, ...]
    functions: tuple[str, ...]
    fixed: tuple[str, ...]


def entry_of(rule: Rule, products: Products) -> Entry:
    """The catalogue's entry of a rule."""
    path, mark, _ = (rule.file or "").partition("#")
    leaves = list(_parts(rule.signature))
    return Entry(
        rule=rule,
        subsystem=Path(path).stem if mark else Path(path).parent.name,
        curated=not mark,
        kinds=tuple(dict.fromkeys(_kinds(leaves))),
        functions=tuple(dict.fromkeys(_names(leaves, _FUNCTIONS) or _names(leaves, _OTHERS)))[: None if mark else 40],
        fixed=tuple(dict.fromkeys(_fixed(rule, products))),
    )


def _parts(condition: Condition) -> Iterator[Leaf | Similar]:
    """What a condition asks for, without what it excludes."""
    if isinstance(condition, (Leaf, Similar)):
        yield condition
    elif getattr(condition, "combinator", None) != "not":
        for child in condition.children:
            yield from _parts(child)


def _kinds(leaves: Iterable[Leaf | Similar]) -> Iterator[str]:
    for leaf in leaves:
        if isinstance(leaf, Similar):
            yield leaf.kind
        elif leaf.fact == "kind" and leaf.operator == "is":
            yield from map(str, leaf.values)


def _names(leaves: Iterable[Leaf | Similar], facts: Sequence[str]) -> list[str]:
    found: list[str] = []
    for leaf in leaves:
        if isinstance(leaf, Similar):
            found += [*leaf.blamed, *leaf.frames][:MAX_FUNCTIONS]
        elif leaf.fact in facts:
            found += map(str, leaf.values)
    return found


def _fixed(rule: Rule, products: Products) -> Iterator[str]:
    for affected in rule.affected:
        product = products.get(affected.product)
        name = "" if affected.product == UPSTREAM or product is None else f"{product.name} "
        for one in affected.ranges:
            if one.fixed is not None:
                yield f"{name}{one.fixed}"


def index_markdown(rules: Iterable[Rule], products: Products, root: Path) -> str:
    """docs/rules.md: the curated rules by subsystem. `root` is the folder that holds docs/ and kb/."""
    entries = [entry_of(rule, products) for rule in rules]
    bugs = [entry for entry in entries if entry.rule.rule_class == "kernel-bug"]
    others = [entry for entry in entries if entry.rule.rule_class != "kernel-bug"]
    lines = [
        "# Curated rules",
        "<!-- Made by `kbmatch kb catalogue docs/rules.md`; do not edit. -->",
        "",
        f"{len(entries)} rules written by hand, {len(bugs)} for bugs of the kernel, {len(others)} for what is none.",
        "The mined ones (docs/mining.md) are in the page that `make docs` writes to docs/catalogue.html.",
    ]
    for title, part in (("Bugs of the kernel", bugs), ("No bug of the kernel", others)):
        lines += ["", f"## {title}"]
        for subsystem in sorted({entry.subsystem for entry in part}):
            mine = sorted((e for e in part if e.subsystem == subsystem), key=lambda entry: entry.rule.id)
            last = "known as" if title == "Bugs of the kernel" else "what to look at"
            lines += ["", f"### {subsystem}", "", f"| rule | what goes wrong | kinds | {last} |", "|---|---|---|---|"]
            lines += [_row(entry, root) for entry in mine]
    return "\n".join(lines) + "\n"


def _row(entry: Entry, root: Path) -> str:
    rule = entry.rule
    path = Path(rule.file or "")
    where = f"../{path.relative_to(root).as_posix()}" if path.is_relative_to(root) else path.as_posix()
    status = "" if rule.status == "stable" else f" ({rule.status})"
    known = ", ".join(rule.aliases) if rule.rule_class == "kernel-bug" else rule.action or "none"
    cells = (f"[{rule.id}]({where}){status}", rule.title, ", ".join(entry.kinds), known)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
