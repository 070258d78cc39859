"""What is made from the registries is up to date, and the registries know everything that the source uses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from kbmatch.engine.condition_loader import COMBINATORS
from kbmatch.engine.facts import FACTS
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.authoring.codes import CODES
from kbmatch.kb.authoring.reference import pages
from kbmatch.kb.authoring.schemas import schema_files
from kbmatch.kb.store import layouts, probes, products

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [p for room in ("engine", "kb/store", "kb/authoring") for p in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("name", sorted(schema_files()))
def test_the_committed_schema_is_up_to_date(name: str) -> None:
    assert (ROOT / "kb/schema" / name).read_text() == schema_files()[name], (
        "run: kbmatch rule schema kb/schema --docs docs"
    )


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_committed_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages()[name], "run: kbmatch rule schema kb/schema --docs docs"


def test_every_code_that_the_source_reports_is_listed() -> None:
    used = set()
    for path in SOURCES:
        text = path.read_text()
        used |= set(re.findall(r"\.add\(\s*[^,\"]+(?:\([^()]*\))?[^,\"]*,\s*\"([a-z]+(?:-[a-z]+)*)\"", text))
        used |= set(re.findall(r"Diagnostic\([^\"]*\"([a-z]+(?:-[a-z]+)*)\"", text))
        used |= set(re.findall(r"yield [\w.]+, \"([a-z-]+)\", ", text))
    assert len(used) > 40
    assert sorted(used - CODES.keys()) == []


def test_no_page_of_a_code_that_is_gone() -> None:
    listed = {path.stem for path in (ROOT / "docs/lint").glob("*.md")} - {"README"}
    assert sorted(listed - CODES.keys()) == []


def test_the_schema_names_every_fact_and_every_combinator() -> None:
    signature = json.loads(schema_files()["rule.schema.json"])["definitions"]["signature"]["properties"]
    facts = {name for name, fact in FACTS.items() if fact.in_signature}
    assert facts | set(COMBINATORS) | {"any-task"} <= signature.keys()
    assert not {name for name, fact in FACTS.items() if not fact.in_signature} & signature.keys()


def test_pages_name_every_kind_and_verdict() -> None:
    made = pages()
    assert all(f"`{kind}`" in made["reference/kinds.md"] for kind in KINDS)
    assert all(f"`{verdict.value}`" in made["reference/verdicts.md"] for verdict in Verdict)


@pytest.mark.parametrize(
    ("schema", "loader"),
    [("probe", probes), ("layout", layouts), ("products", None)],
    ids=["probe", "layout", "products"],
)
def test_the_schema_has_the_loaders_keys(schema: str, loader: object) -> None:
    document = json.loads(schema_files()[f"{schema}.schema.json"])
    if schema == "products":
        own = document["properties"]["products"]["items"]["properties"]
        assert set(own) == set(products._KEYS)
    else:
        assert set(document["properties"]) == set(loader._KEYS)  # type: ignore[attr-defined]


def shipped() -> list[tuple[str, Path]]:
    found = [("rule-test" if p.name.endswith(".test.yaml") else "rule", p) for p in (ROOT / "kb/rules").rglob("*.yaml")]
    found += [("probe", path) for path in (ROOT / "kb/probes").glob("*.yaml")]
    found += [("layout", path) for path in (ROOT / "kb/layouts").glob("*.yaml")]
    return [*found, ("products", ROOT / "kb/products.yaml")]


@pytest.mark.parametrize(("schema", "path"), shipped(), ids=lambda value: str(getattr(value, "name", value)))
def test_every_shipped_file_fits_its_schema_and_names_it(schema: str, path: Path) -> None:
    document = json.loads((ROOT / f"kb/schema/{schema}.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(document)
    jsonschema.Draft7Validator(document).validate(yaml.safe_load(path.read_text()))
    first = path.read_text().splitlines()[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match, f"{path} has no modeline"
    assert (path.parent / match[1]).resolve() == ROOT / f"kb/schema/{schema}.schema.json"


def test_check_jsonschema_agrees_without_kbmatch(tmp_path: Path) -> None:
    tool = Path(sys.executable).parent / "check-jsonschema"
    if not tool.is_file():
        pytest.skip("CHECK-JSONSCHEMA ABSENT: pip install check-jsonschema")
    schema = ROOT / "kb/schema/rule.schema.json"
    rules = [str(path) for kind, path in shipped() if kind == "rule"]
    assert subprocess.run([tool, "--schemafile", schema, *rules], capture_output=True, check=False).returncode == 0
    bad = shutil.copy(ROOT / "tests/kb/authoring/bad_rules/unknown-fact.yaml", tmp_path)
    assert subprocess.run([tool, "--schemafile", schema, bad], capture_output=True, check=False).returncode == 1
