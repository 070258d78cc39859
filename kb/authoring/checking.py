"""Checks many rule files: lint and tests, in several processes, with the findings of all in one order.

Each file is checked by itself in a worker; what needs several rules together is done at the end. Workers start with the
tables read once, and hand back small results.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kbmatch.engine.document import Mark
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.incident import Incident
from kbmatch.engine.rule import Rule
from kbmatch.engine.values import dataclass
from kbmatch.kb.authoring.case_files import RuleTest, load_rule_test, path_of_test
from kbmatch.kb.authoring.codes import ERROR, level_of
from kbmatch.kb.authoring.lint import LintedRule, Tables, lint_file
from kbmatch.kb.authoring.lint_pairs import check_together, in_order
from kbmatch.kb.authoring.mutation import idle_conditions
from kbmatch.kb.authoring.rule_tests import Bench, grade_boundaries, run_cases
from kbmatch.kb.authoring.unrelated import Corpus, shipped_corpus
from kbmatch.kb.store.files import SHIPPED, find_files

CHUNK = 20
"""Rules that a worker takes at a time: enough to make the handing over cheap, few enough for a smooth bar."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file's result. `cases` is how many were run; `linted` carries the rule for the checks of all together."""

    linted: LintedRule
    problems: tuple[Diagnostic, ...]
    cases: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """All problems in order, and what was looked at."""

    problems: tuple[Diagnostic, ...]
    rules: int
    cases: int


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """The rule files among and below the paths; a test stands for its rule. Raises KnowledgeError for what is none."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            folder = path.resolve() if path.resolve() == SHIPPED else path
            found |= dict.fromkeys(find_files(folder).rules)
        elif path.is_file():
            name = path.name.removesuffix(".test.yaml")
            found[path.with_name(f"{name}.yaml") if name != path.name else path] = None
        else:
            raise KnowledgeError([Diagnostic(str(path), 1, 1, "unreadable", "there is no such file or folder")])
    return list(found)


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker does with a file: static checks and mutation for lint, cases and corpus for tests."""

    tables: Tables
    corpus: Corpus | None
    lint: bool

    def check(self, path: Path) -> Checked:
        """The result of one file."""
        bench = Bench(self.tables.products, self.tables.helpers)
        linted = lint_file(path, self.tables)
        if linted.rule is None or linted.rule.status == "withdrawn":
            return Checked(linted, linted.problems)
        found = list(linted.problems) if self.lint else []
        wrong = any(level_of(problem.code) == ERROR for problem in linted.problems)
        if self.lint and wrong:
            return Checked(linted, tuple(found))  # first things first: its test would only repeat them
        test, missing = _test_of(path, linted, bench)
        if test is None:
            return Checked(linted, (*found, *missing))
        if self.lint:
            return Checked(linted, (*found, *idle_conditions(linted.rule, test, bench)))
        found += run_cases(linted.rule, test, bench)
        mark = linted.place("affected")
        found += grade_boundaries(
            linted.rule, test, bench, Diagnostic(mark.file, mark.line, mark.column, "boundary", "")
        )
        if self.corpus is not None:
            found += _noise(linted, self.corpus)
        return Checked(linted, tuple(found), len(test.cases))


def _test_of(path: Path, linted: LintedRule, bench: Bench) -> tuple[RuleTest | None, tuple[Diagnostic, ...]]:
    beside = path_of_test(path)
    if not beside.is_file():
        mark = linted.place("id")
        text = f"there is no {beside.name} beside it"
        return None, (Diagnostic(mark.file, mark.line, mark.column, "no-test", text),)
    try:
        return bench.ready(load_rule_test(beside)), ()
    except KnowledgeError as error:
        return None, error.diagnostics


def _noise(linted: LintedRule, corpus: Corpus) -> Iterator[Diagnostic]:
    assert linted.rule is not None
    fitting = list(corpus.fitting(linted.rule))
    if fitting:
        mark: Mark = linted.place("signature")
        more = f" and {len(fitting) - 1} more" if len(fitting) > 1 else ""
        text = f"the rule speaks on an unrelated crash: {fitting[0].source.path}{more}"
        yield Diagnostic(mark.file, mark.line, mark.column, "noisy", text)


_work: Work | None = None


def _start(work: Work) -> None:
    global _work  # noqa: PLW0603 - a worker process has one job
    _work = work


def _run(paths: Sequence[Path]) -> list[Checked]:
    assert _work is not None
    return [_work.check(path) for path in paths]


def check_rules(
    paths: Sequence[Path],
    tables: Tables,
    *,
    lint: bool,
    others: dict[str, Rule] | None = None,
    crashes: Iterable[Incident] = (),
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Lint (`lint` True) or test the files. `others` are rules that are there already, for lint.

    `crashes` are further unrelated crashes. `progress` is told how many files are done, and of how many. `processes`
    defaults to the CPUs; few files are checked in this process.
    """
    corpus = None if lint else shipped_corpus(Bench(tables.products, tables.helpers), crashes)
    work = Work(tables, corpus, lint)
    checked: list[Checked] = []
    for batch in _batches(paths, work, processes):
        checked += batch
        progress(len(checked), len(paths))
    problems = [problem for one in checked for problem in one.problems]
    if lint:
        ours = {str(path) for path in paths}
        rest = {rule.id: rule for rule in (others or {}).values() if rule.file not in ours}
        problems += check_together([one.linted for one in checked], rest)
    return Summary(tuple(in_order(problems)), len(checked), sum(one.cases for one in checked))


def _batches(paths: Sequence[Path], work: Work, processes: int | None) -> Iterator[list[Checked]]:
    count = processes if processes is not None else len(os.sched_getaffinity(0))
    if count < 2 or len(paths) <= 2 * CHUNK:
        for path in paths:
            yield [work.check(path)]
        return
    import multiprocessing

    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    # fork: the tables and the corpus are there already and need not be sent
    with multiprocessing.get_context("fork").Pool(count, _start, (work,)) as pool:
        yield from pool.imap(_run, chunks)
