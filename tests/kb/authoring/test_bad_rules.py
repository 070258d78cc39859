"""Each deliberately bad rule gets exactly the code that its own comment names, at the comment's line, and no other."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from kbmatch.cli.main import main
from kbmatch.kb.authoring.checking import Summary, check_rules, rule_files
from kbmatch.kb.authoring.codes import CODES
from kbmatch.kb.authoring.lint import Tables
from kbmatch.kb.store.knowledge import KnowledgeBase

FOLDER = Path(__file__).parent / "bad_rules"
FILES = sorted(FOLDER.glob("*.yaml"))
SCHEMA_TELLS = {
    "bad-id", "unquoted-version", "unquoted-commit", "unknown-product", "source-missing", "short-commit",
    "unknown-fact",
    "unknown-key", "unknown-kind", "two-facts-in-one", "offset-in-signature", "decorated", "bad-reference", "bad-alias",
}  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> Tables:
    knowledge = KnowledgeBase()
    return Tables(knowledge.products, knowledge.helper_frames, knowledge.probe_fields)


@pytest.fixture(scope="module")
def summary(tables: Tables) -> Summary:
    return check_rules(rule_files([FOLDER]), tables, lint=True)


def expected(path: Path) -> set[tuple[str, int]]:
    found = set()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.search(r"# lint: (\S+)", line):
            found.add((match[1], number))
    return found


def test_there_are_more_than_thirty_of_them() -> None:
    assert sum(bool(expected(path)) for path in FILES) >= 30
    assert len({code for path in FILES for code, _ in expected(path)}) >= 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_exactly_the_right_code_at_the_right_line(path: Path, summary: Summary) -> None:
    found = defaultdict(set)
    for problem in summary.problems:
        found[Path(problem.file).name].add((problem.code, problem.line))
    assert found[path.name] == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_code_has_a_hint_and_a_page(path: Path) -> None:
    for code, _ in expected(path):
        assert CODES[code].hint
        assert (Path(__file__).parents[3] / CODES[code].page).is_file()


def test_the_command_prints_place_code_and_hint_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rule", "lint", str(FOLDER / "contradiction.yaml")]) == 1
    out = capsys.readouterr().out
    assert re.search(r"contradiction\.yaml:13:7: error: contradiction: .*kind is null-deref and kind is gpf", out)
    assert "hint: Use any, or one list" in out
    assert "docs/lint/contradiction.md" in out


def test_warnings_fail_only_with_strict(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(FOLDER / "one-child.yaml")
    assert main(["rule", "lint", path]) == 0
    assert main(["rule", "lint", "--strict", path]) == 1
    capsys.readouterr()


def test_check_jsonschema_rejects_what_a_schema_can_tell() -> None:
    import json

    import jsonschema
    import yaml

    schema = json.loads((Path(__file__).parents[3] / "kb/schema/rule.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    refused = set()
    for path in FILES:
        if path.name.endswith(".test.yaml") or path.stem in ("key-twice", "anchor"):
            continue
        if list(validator.iter_errors(yaml.safe_load(path.read_text()))):
            refused.add(path.stem)
    assert refused >= SCHEMA_TELLS
    # what needs two values side by side, or other files, is lint's alone
    assert not refused & {
        "fixed-before-introduced",
        "contradiction",
        "no-test",
        "id-path",
        "idle-condition",
        "overlap-two",
    }
