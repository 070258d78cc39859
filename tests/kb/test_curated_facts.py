"""The facts of curated rules that stand for kernel CVE records, compared with those records by program.

Every branch of a record is in the rule, with the record's versions, commits and title, and nothing that the record
does not say. Versions of other products than upstream are not in the records and are not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from kbmatch.engine.products import UPSTREAM
from kbmatch.engine.rule import Fix, Rule
from kbmatch.engine.version_range import ALWAYS, Affected, VersionRange
from kbmatch.engine.versions import upstream
from kbmatch.kb.authoring.mine_source import NONE, Pair, Record, read_records
from kbmatch.kb.store.knowledge import KnowledgeBase


@pytest.fixture(scope="module")
def curated() -> list[Rule]:
    return KnowledgeBase().curated()


@pytest.fixture(scope="module")
def records(shared: Path, curated: list[Rule]) -> dict[str, Record]:
    wanted = {alias for rule in curated for alias in rule.aliases}
    return {r.id: r for r in read_records(shared / "data" / "kernel-cves.jsonl.zst") if r.id in wanted}


def _branch(version: str) -> str | None:
    """The stable branch of a point release, None for a release of mainline."""
    parsed = upstream.parse(version)
    assert parsed is not None, version
    return parsed.branch if parsed.is_stable else None


def _line(pair: Pair) -> str | None:
    return _branch(pair.introduced if pair.fixed == NONE else pair.fixed)


def _says_since(written: str, pair: Pair, branch: str | None) -> bool:
    """Whether `introduced` of a rule claims what the record does and no more.

    A branch that began with the defect may say "always". A defect that came and went within one release is written
    with the first pre-release, because [X, X) holds nothing.
    """
    since = pair.introduced
    if written == since or (written == f"{since}-rc1" and since == pair.fixed):
        return True
    if written != ALWAYS or branch is None:
        return False
    start, began = upstream.parse(since), upstream.parse(branch)
    return since == NONE or (start is not None and began is not None and not start.is_stable and start <= began)


def _never_mended(record: Record, branch: str | None) -> bool:
    """Whether a branch that ended before the fix has the defect: mainline's range speaks for it.

    A rule for several records then leaves the branch out, although another of its defects was mended there.
    """
    if branch is None or any(_line(pair) == branch for pair in record.pairs):
        return False
    began = upstream.parse(branch)
    for pair in record.pairs:
        start, end = upstream.parse(pair.introduced), upstream.parse(pair.fixed)
        if _line(pair) is None and began is not None and start is not None and end is not None and start <= began < end:
            return True
    return False


def _wrong(rule: Rule, records: Mapping[str, Record]) -> Iterator[str]:
    own = [records[alias] for alias in rule.aliases if alias in records]
    pairs = [pair for record in own for pair in record.pairs]
    titles = {pair.fixed_by: record.title for record in own for pair in record.pairs if pair.fixed_by != NONE}
    for fix in rule.fixes:
        full = [commit for commit in titles if commit.startswith(fix.commit)]
        if not full:
            yield f"{rule.id}: commit {fix.commit} is in none of its records"
        elif fix.title != titles[full[0]]:
            yield f"{rule.id}: {fix.commit} is called {titles[full[0]]!r}"
    for pair in pairs:
        mainline = pair.fixed != NONE and _line(pair) is None
        if mainline and not any(pair.fixed_by.startswith(fix.commit) for fix in rule.fixes):
            yield f"{rule.id}: lacks mainline's fix {pair.fixed_by[:12]}"
    written = [span for affected in rule.affected if affected.product == UPSTREAM for span in affected.ranges]
    for record in own:
        others = [other for other in own if other is not record]
        for pair in record.pairs:
            line = _line(pair)
            if any(span.branch == line for span in written) or any(_never_mended(other, line) for other in others):
                continue
            yield f"{rule.id}: says nothing of {line or 'mainline'}: {pair.introduced} to {pair.fixed}"
    for span in written:
        told = [p for p in pairs if _line(p) == span.branch and p.fixed == (span.fixed or NONE)]
        if not any(_says_since(span.introduced, pair, span.branch) for pair in told):
            yield f"{rule.id}: the record does not say {span.branch or 'mainline'} {span.introduced} to {span.fixed}"


def test_versions_commits_and_titles_are_those_of_the_cve_records(
    curated: list[Rule], records: Mapping[str, Record]
) -> None:
    ours = [rule for rule in curated if any(alias in records for alias in rule.aliases)]
    assert len(ours) >= 170
    assert [text for rule in ours for text in _wrong(rule, records)] == []


def test_the_comparison_sees_each_sort_of_error(curated: list[Rule], records: Mapping[str, Record]) -> None:
    rule = next(r for r in curated if "CVE-2022-49722" in r.aliases)  # since 5.5; fixed in 5.18.6 and 5.19
    assert list(_wrong(rule, records)) == []

    def with_ranges(*ranges: VersionRange) -> Rule:
        return replace(rule, affected=(Affected(UPSTREAM, ranges),))

    stable, mainline = VersionRange("5.5", "5.18.6", "5.18"), VersionRange("5.5", "5.19")
    assert list(_wrong(with_ranges(stable, mainline), records)) == []
    for wrong in (
        with_ranges(mainline),
        with_ranges(stable),
        with_ranges(stable, replace(mainline, introduced=ALWAYS)),
        with_ranges(replace(stable, fixed="5.18.5"), mainline),
        with_ranges(stable, mainline, VersionRange("5.5", "5.15.50", "5.15")),
        replace(rule, fixes=()),
        replace(rule, fixes=(replace(rule.fixes[0], title="another"),)),
        replace(rule, fixes=(*rule.fixes, Fix("0123456789ab", "another"))),
    ):
        assert list(_wrong(wrong, records))
    young = replace(records["CVE-2022-49722"], pairs=(Pair("5.18.2", "a" * 40, "5.18.6", "b" * 40),))
    assert "5.18 0 to 5.18.6" in "".join(_wrong(with_ranges(replace(stable, introduced=ALWAYS)), {young.id: young}))
