"""Lint: everything about one rule file that can be told without running it.

The loader's problems come first. Checks that would only repeat one of them are left out, so that one mistake gives one
line: a rule that does not load gets no word on its missing test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kbmatch.engine.condition import Condition, is_indexable
from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.document import Mapping, Mark, Node, Problems, Scalar, Sequence
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.facts import FACTS, SELECTIVE
from kbmatch.engine.products import Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.rule_loader import ProbeFields, load_rule
from kbmatch.engine.symbols import strip_decorations
from kbmatch.engine.values import dataclass
from kbmatch.engine.version_range import ALWAYS, UNSURE, VersionRange, well_formed
from kbmatch.engine.versions.compare import compare, strip_suffixes
from kbmatch.kb.authoring.lint_logic import fact_domain, record_domain, traps
from kbmatch.kb.store.yaml_reader import read_yaml

TODO = "TODO"
_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)
_FUNCTIONS = ("symbol", "culprit", "frame", "task-frame")
_OFFSET = re.compile(r"\\?\+0x[0-9a-fA-F]+")
_REFERENCE = re.compile(r"https?://[^\s/]+\.[^\s/]+\S*\Z")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}\Z")
_LIKE_CVE = re.compile(r"cve\b", re.IGNORECASE)
_KERNEL_SPACE = 0xFFFF_8000_0000_0000
_ERR_PTR = (1 << 64) - 4096  # include/linux/err.h: MAX_ERRNO


@dataclass(frozen=True, slots=True)
class Tables:
    """What rules are checked against: products, helper frames, and the fields of all probes by probe id."""

    products: Products
    helpers: HelperFrames
    probe_fields: ProbeFields


@dataclass(frozen=True, slots=True)
class LintedRule:
    """One file, checked: its problems, and the rule where it loads without any error of the loader."""

    path: Path
    rule: Rule | None
    node: Mapping | None
    problems: tuple[Diagnostic, ...]

    def place(self, key: str) -> Mark:
        """Where the value of a top-level key stands."""
        node = self.node.get(key) if self.node is not None else None
        return node.mark if node is not None else Mark(str(self.path), 1, 1)


def lint_file(path: Path, tables: Tables) -> LintedRule:
    """The problems of one rule file. Nothing is raised: what cannot be read is a problem too."""
    problems = Problems()
    try:
        node = read_yaml(path)
    except KnowledgeError as error:
        return LintedRule(path, None, None, error.diagnostics)
    return lint_node(path, node, tables, problems)


def lint_node(path: Path, node: Node, tables: Tables, problems: Problems) -> LintedRule:
    """The same for a document that was read already."""
    partial = load_rule(node, problems, tables.products, tables.probe_fields, partial=True)
    loads = not problems.diagnostics
    if isinstance(node, Mapping):
        _unfilled(node, problems)
        if partial is not None:
            for check in (_logic, _selectivity, _names, _sources, _ranges):
                check(partial, node, tables, problems)
    found = tuple(sorted(dict.fromkeys(problems.diagnostics)))
    return LintedRule(path, partial if loads else None, node if isinstance(node, Mapping) else None, found)


def _codes(problems: Problems) -> set[str]:
    return {diagnostic.code for diagnostic in problems.diagnostics}


def _logic(rule: Rule, node: Mapping, tables: Tables, problems: Problems) -> None:
    trees = [(rule.signature, fact_domain), *((item.when, fact_domain) for item in rule.exceptions)]
    trees += [(condition.any_record, record_domain) for condition in rule.state]
    for tree, domains in trees:
        if tree is rule.signature and "lone-not" in _codes(problems):
            continue
        for mark, code, message in traps(tree, domains):
            problems.add(mark or node, code, message)
    for item, entry in zip(rule.exceptions, _items(node.get("exceptions")), strict=False):
        if _same(item.when, rule.signature):
            problems.add(entry, "always-true", "this exception is the signature itself: the rule would never speak")


def _same(one: Condition, other: Condition) -> bool:
    from kbmatch.kb.authoring.lint_logic import plain

    return plain(one) == plain(other)


def _selectivity(rule: Rule, node: Mapping, tables: Tables, problems: Problems) -> None:
    if _codes(problems) & {"not-selective", "lone-not"} or rule.rule_class == "not-a-kernel-bug":
        return  # that tasks wait for a disk shows in helpers alone
    kinds = _kinds(rule.signature)

    def useful(fact: str, value: str) -> bool:
        if fact in _FUNCTIONS:
            return not _is_helper(value, kinds, tables.helpers)
        return fact == "panic"  # a module or a kind has many bugs

    if not is_indexable(rule.signature, _SELECTIVE, useful):
        message = "it can be true by helpers, a module or a kind alone; name the function that called the helper"
        problems.add(node.get("signature") or node, "generic-only", message)


def _kinds(signature: Condition) -> tuple[str, ...]:
    from kbmatch.engine.condition import leaves

    found = [str(v) for leaf in leaves(signature) if leaf.fact == "kind" and leaf.operator == "is" for v in leaf.values]
    return tuple(found) or ("other",)


def _is_helper(symbol: str, kinds: tuple[str, ...], helpers: HelperFrames) -> bool:
    dispatchers = f"(?:{helpers.dispatchers or '(?!)'})|(?:{helpers.outer_dispatchers or '(?!)'})"
    if re.fullmatch(dispatchers, symbol):
        return True
    return all(helpers.is_helper(symbol, kind) for kind in kinds)


def _scalars(node: Node | None) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _scalars(item)
    elif isinstance(node, Mapping):
        for _, value in node.entries:
            yield from _scalars(value)


def _tests(node: Node | None) -> Iterator[tuple[str, Node]]:
    """All (fact, value) pairs of a condition's document."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _tests(item)
    elif isinstance(node, Mapping):
        for name, value in node.entries:
            key = str(name.value)
            if key in FACTS:
                yield key, value
            else:
                yield from _tests(value)


def _names(rule: Rule, node: Mapping, tables: Tables, problems: Problems) -> None:
    for fact, value in (*_tests(node.get("signature")), *_tests(node.get("exceptions"))):
        plain_value = not isinstance(value, Mapping) or any(k in ("in-order", "adjacent") for k in value.keys())  # noqa: SIM118
        for scalar in _scalars(value):
            _name(fact, scalar, plain_value, problems)
    _module(node.get("signature"), problems)


def _name(fact: str, scalar: Scalar, whole: bool, problems: Problems) -> None:
    value = scalar.value
    if isinstance(value, str):
        if FACTS[fact].type == "text" and _OFFSET.search(value) and fact != "instruction":
            text = f"{value!r} holds an offset, which differs from build to build"
            problems.add(scalar, "build-offset", text)
        elif fact in _FUNCTIONS and whole:
            bare = strip_decorations(value)
            if bare != value:
                problems.add(scalar, "decorated-symbol", f"{value!r} is the compiler's name: write {bare!r}")
            elif re.search(r"[\s\[\]()]", value):
                problems.add(scalar, "decorated-symbol", f"{value!r} is no function's name alone")
    elif fact == "address" and whole and isinstance(value, int) and _KERNEL_SPACE <= value < _ERR_PTR:
        problems.add(scalar, "boot-address", f"0x{value:x} is an address of one boot")


def _allows_built_in(wanted: Node | None) -> bool:
    """Whether a list of modules has "", which stands for the kernel proper."""
    return isinstance(wanted, Sequence) and any(isinstance(item, Scalar) and item.value == "" for item in wanted.items)


def _module(node: Node | None, problems: Problems) -> None:
    """A module that is demanded beside the function it is of."""
    if isinstance(node, Mapping):
        for name, value in node.entries:
            if name.value == "all" and isinstance(value, Sequence):
                entries = [entry for item in value.items if isinstance(item, Mapping) for entry in item.entries]
                keys = {str(key.value): key for key, wanted in entries if not _allows_built_in(wanted)}
                for module, function in (("module", "symbol"), ("culprit-module", "culprit")):
                    if module in keys and (function in keys or (module == "module" and "culprit" in keys)):
                        text = f"{module!r} beside {function!r} excludes kernels that have the driver built in"
                        problems.add(keys[module], "module-beside-symbol", text)
            if name.value != "not":
                _module(value, problems)
    elif isinstance(node, Sequence):
        for item in node.items:
            _module(item, problems)


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else ()


def _sources(rule: Rule, node: Mapping, tables: Tables, problems: Problems) -> None:
    seen: dict[str, int] = {}
    for item in _items(node.get("affected")):
        if isinstance(item, Mapping):
            source = item.get("source")
            if source is None or (isinstance(source, Scalar) and not str(source.value or "").strip()):
                problems.add(
                    item.get("product") or item, "missing-source", "say where these ranges are from: add source:"
                )
            product = item.get("product")
            if isinstance(product, Scalar):
                name = str(product.value)
                if name in seen:
                    problems.add(product, "product-twice", f"product {name!r} stands already in line {seen[name]}")
                seen.setdefault(name, product.mark.line)
    commits: dict[str, int] = {}
    for item in _items(node.get("fixes")):
        commit = item.get("commit") if isinstance(item, Mapping) else None
        if isinstance(commit, Scalar) and isinstance(commit.value, str):
            short = commit.value[:12]
            if short in commits:
                problems.add(commit, "commit-twice", f"commit {short} stands already in line {commits[short]}")
            commits.setdefault(short, commit.mark.line)
    if not rule.affected and not rule.fixes and not rule.references and rule.status != "draft":
        text = "nothing is cited: add references:, or affected: with its source:"
        problems.add(node.get("id") or node, "missing-source", text)
    for item in _items(node.get("references")):
        if isinstance(item, Scalar) and isinstance(item.value, str) and not _REFERENCE.match(item.value):
            problems.add(item, "bad-reference", f"{item.value!r} is no web address")
    for item in _items(node.get("aliases")):
        value = item.value if isinstance(item, Scalar) else None
        if isinstance(value, str) and _LIKE_CVE.match(value) and not _CVE.match(value):
            problems.add(item, "bad-alias", f"{value!r} does not have the form CVE-2022-48969")


def _ranges(rule: Rule, node: Mapping, tables: Tables, problems: Problems) -> None:
    if _codes(problems) & {"bad-version", "range-order"}:
        return
    for affected, item in zip(rule.affected, _items(node.get("affected")), strict=False):
        product = tables.products.get(affected.product)
        nodes = _items(item.get("ranges")) if isinstance(item, Mapping) else ()
        if product is None or len(nodes) != len(affected.ranges):
            continue
        for index, one in enumerate(affected.ranges):
            for other in affected.ranges[:index]:
                if (one.branch, one.stream) == (other.branch, other.stream) and _overlap(one, other, product.scheme):
                    line = one.branch or one.stream or "this line"
                    place = nodes[index]
                    if isinstance(place, Mapping):
                        place = place.get("branch") or place.get("stream") or place
                    problems.add(place, "branch-twice", f"{line!r} has a range already, which overlaps this one")
                    break


def _overlap(one: VersionRange, other: VersionRange, scheme: str) -> bool:
    if not (well_formed(one, scheme) and well_formed(other, scheme)):
        return False

    def starts_before_end(a: VersionRange, b: VersionRange) -> bool:
        if a.introduced in (ALWAYS, UNSURE) or b.fixed is None:
            return True
        return compare(scheme, strip_suffixes(scheme, a.introduced), strip_suffixes(scheme, b.fixed)) < 0

    return starts_before_end(one, other) and starts_before_end(other, one)


def _unfilled(node: Mapping, problems: Problems) -> None:
    for scalar in _scalars(node):
        if isinstance(scalar.value, str) and scalar.value.lstrip().startswith(TODO):
            # the loader has something to say of a version "TODO: ...": this says it better
            problems.diagnostics[:] = [
                d for d in problems.diagnostics if (d.line, d.column) != (scalar.mark.line, scalar.mark.column)
            ]
            problems.add(scalar, "unfilled", "this field is yours to fill")
