"""Runs the tests beside a rule, and what is asked of every rule: graded boundaries of its fixed versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from kbmatch.engine.affected import Affected, VersionRange
from kbmatch.engine.condition import index_entries, similar_entries
from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.errors import Diagnostic
from kbmatch.engine.facts import SELECTIVE
from kbmatch.engine.finding import Finding
from kbmatch.engine.incident import Incident, Kernel
from kbmatch.engine.products import UPSTREAM, Product, Products
from kbmatch.engine.rule import Rule
from kbmatch.engine.values import dataclass, replace
from kbmatch.engine.version_range import UNSURE
from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import strip_suffixes
from kbmatch.kb.authoring.case_files import NONE, Case, RuleTest, load_rule_test, path_of_test

__all__ = ["Bench", "Case", "RuleTest", "grade_boundaries", "load_rule_test", "path_of_test", "run_cases"]

_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)


class OneRule:
    """A knowledge base of one rule. With `always`, it is a candidate for everything, as for mutants."""

    def __init__(self, rule: Rule, *, always: bool = False) -> None:
        self._rule = rule
        self._always = always

    @cached_property
    def _entries(self) -> frozenset[tuple[str, str]]:
        return index_entries(self._rule.signature, _SELECTIVE)

    def candidates(self, keys: Iterable[tuple[str, str]], probes: Iterable[str]) -> Sequence[Rule]:
        """The rule, if the index would lead to it."""
        listed = list(keys)
        wanted = {condition.probe for condition in self._rule.state}
        found = not self._entries.isdisjoint(listed) or not wanted.isdisjoint(probes)
        if found or self._always or similar_entries(self._rule.signature):
            return [self._rule]
        return []

    def get(self, rule_id: str) -> Rule | None:
        """The rule by its id."""
        return self._rule if rule_id == self._rule.id else None


@dataclass(frozen=True, slots=True)
class Bench:
    """What a rule is tried on: the tables that derive product, stream and culprit."""

    products: Products
    helpers: HelperFrames

    def prepared(self, incident: Incident) -> Incident:
        """The incident with product, stream and culprits."""
        return replace(
            incident,
            kernel=self.products.identify(incident.kernel),
            events=assign_culprits(incident.events, self.helpers),
        )

    def ready(self, test: RuleTest) -> RuleTest:
        """The test with every case's incident prepared, once for all runs."""
        return replace(test, cases=tuple(replace(c, incident=self.prepared(c.incident)) for c in test.cases))

    def finding(self, rule: Rule, incident: Incident, *, always: bool = False) -> Finding | None:
        """What the rule, alone, says of a prepared incident; the best finding if it says several things."""
        found = diagnose(incident, OneRule(rule, always=always), self.products).findings
        return found[0] if found else None


def verdict_of(finding: Finding | None) -> tuple[str, bool]:
    """The verdict's word ("none" without a finding) and whether memory and version contradict each other."""
    return (NONE, False) if finding is None else (finding.verdict.value, finding.version_conflict)


def run_cases(rule: Rule, test: RuleTest, bench: Bench) -> Iterator[Diagnostic]:
    """The cases of a prepared test that came out otherwise than expected."""
    for case in test.cases:
        wrong = _mismatch(case, bench.finding(rule, case.incident))
        if wrong is not None:
            mark = case.mark
            yield Diagnostic(mark.file, mark.line, mark.column, "test-failed", f"{case.name}: {wrong}")


def _mismatch(case: Case, finding: Finding | None) -> str | None:
    verdict, conflict = verdict_of(finding)
    if verdict != case.verdict:
        why = f" ({finding.version.why})" if finding is not None and case.verdict != NONE else ""
        return f"expected {case.verdict}, found {verdict}{why}"
    if finding is None:
        return None
    if conflict != bool(case.conflict):
        return f"expected {'a' if case.conflict else 'no'} version conflict, found {'one' if conflict else 'none'}"
    if case.version is not None and finding.recommend.version != case.version:
        return f"expected version {case.version}, found {finding.recommend.version or 'none'}"
    cited = {item.fact: item.value for item in finding.evidence}
    for fact, value in case.evidence:
        if fact not in cited:
            return f"expected {fact} among the evidence, found {', '.join(cited) or 'none'}"
        if value is not None and value not in (cited[fact], *_listed(cited[fact])):
            return f"expected {fact} to be {value!r}, found {cited[fact]!r}"
    return None


def _listed(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


_OPEN = frozenset({"likely", "confirmed", "possible", "already-fixed", "not-affected", "not-a-kernel-bug"})


def grade_boundaries(rule: Rule, test: RuleTest | None, bench: Bench, place: Diagnostic) -> Iterator[Diagnostic]:
    """Grades a kernel just before each `fixed`, which must be affected, and the fixed one, which must not be.

    The crash is that of the first case which the rule fits; `place` is where a wrong grade is reported.
    """
    incident = next((c.incident for c in test.cases if c.verdict in _OPEN), None) if test is not None else None
    if incident is None:
        return
    for affected in rule.affected:
        product = bench.products.get(affected.product)
        if product is None:
            continue
        for one in affected.ranges:
            if one.fixed is not None:
                yield from _grade(rule, product, affected, one, incident, bench, place)


def _grade(
    rule: Rule,
    product: Product,
    affected: Affected,
    one: VersionRange,
    incident: Incident,
    bench: Bench,
    place: Diagnostic,
) -> Iterator[Diagnostic]:
    assert one.fixed is not None
    before = just_before(one.fixed, product) if one.introduced != UNSURE else None
    held = (("likely", False), ("confirmed", False), ("possible", False), ("not-a-kernel-bug", False))
    mended = (("already-fixed", False), ("confirmed", True), ("not-a-kernel-bug", False))
    for version, wanted in ((before, held), (one.fixed, mended)):
        if version is None:
            continue
        kernel = kernel_of(version, product, one)
        tried = replace(incident, kernel=kernel, events=tuple(replace(e, release=None) for e in incident.events))
        finding = bench.finding(rule, tried, always=True)
        verdict = verdict_of(finding)
        if finding is None or verdict[0] in ("excepted", "refuted", "incomplete"):
            continue
        affected_now = finding.version.status.value == "affected"
        if verdict not in wanted or affected_now != (wanted is held):
            what = "must be affected" if wanted is held else "must not be affected"
            text = f"{affected.product} {version} {what}: {finding.version.why}"
            yield replace(place, code="boundary", message=text)


def kernel_of(version: str, product: Product, one: VersionRange) -> Kernel:
    """A kernel of the product and the range's line that runs this version."""
    bare = strip_suffixes(product.scheme, version)
    if product.scheme == "dpkg":
        return Kernel(release="0", package_version=bare, arch="x86_64", product=product.id, stream=one.stream)
    base = None
    if product.id == UPSTREAM:
        parsed = upstream.parse(bare)
        base = parsed.base if parsed else None
    return Kernel(release=bare, arch="x86_64", product=product.id, stream=one.stream, upstream_base=base)


def just_before(version: str, product: Product) -> str | None:
    """The newest version before this one: "~" sorts there in rpm and dpkg; upstream's own numbering else."""
    if product.scheme != "upstream":
        return strip_suffixes(product.scheme, version) + "~"
    parsed = upstream.parse(version)
    if parsed is None:
        return None
    head, _, tail = version.partition("-rc")
    if tail.isdigit():
        return f"{head}-rc{int(tail) - 1}" if int(tail) > 1 else None
    if not parsed.is_stable:
        return f"{version}-rc1"
    front, _, last = version.rpartition(".")
    if not last.isdigit():
        return None
    return f"{front}.{int(last) - 1}" if int(last) > 1 else front
