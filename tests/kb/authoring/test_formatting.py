"""The formatter: one layout, every comment kept, the same values, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.cli.main import main
from kbmatch.engine.errors import KnowledgeError
from kbmatch.kb.authoring.formatting import format_text, schema_for

MESSY = """\
# why this rule exists
title:   'a title'     # said by the vendor
format: 1

id:  messy
affected:
- ranges:
   - {fixed: "4.14.35-1902.7.0",   introduced: "0", stream: '1902'}   # ELSA
   # a comment of its own
   - introduced: 4.14.35-1844.5.0
     stream: "1844"
  product: uek5
signature:
    all:
        - kind: null-deref
        - symbol: [a,
                   b]    # both
        # - frame: c
severity: high
status: stable
created: "2026-11-23"
description: |
    Text with a # that is no comment.

      Indented: more.
references: [
  https://a.example/one,   # first
  https://a.example/two ]
# the end
"""

NEAT = """\
# why this rule exists
format: 1
id: messy
title: "a title"  # said by the vendor
status: stable
severity: high
created: "2026-11-23"
description: |
  Text with a # that is no comment.

    Indented: more.
signature:
  all:
    - kind: null-deref
    - symbol: [a, b]  # both
    # - frame: c
affected:
  - product: uek5
    ranges:
      - {stream: "1902", introduced: "0", fixed: "4.14.35-1902.7.0"}  # ELSA
      # a comment of its own
      - stream: "1844"
        introduced: "4.14.35-1844.5.0"
references:
  - https://a.example/one  # first
  - https://a.example/two
# the end
"""


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_a_messy_rule_comes_out_neat() -> None:
    assert lines_of(format_text(MESSY, "messy.yaml")) == lines_of(NEAT)


def test_a_second_run_changes_nothing() -> None:
    once = format_text(MESSY, "messy.yaml")
    assert format_text(once, "messy.yaml") == once


def test_values_stay_the_same() -> None:
    assert yaml.safe_load(format_text(MESSY, "messy.yaml")) == yaml.safe_load(MESSY)


def test_a_long_flow_becomes_a_block() -> None:
    names = ", ".join(f"function_number_{i}" for i in range(12))
    out = format_text(f"format: 1\nsignature: {{all: [{{symbol: [{names}]}}]}}\n", "x.yaml")
    assert max(map(len, out.splitlines())) <= 120
    assert out.count("- function_number_") == 12


def test_versions_are_quoted() -> None:
    out = format_text("format: 1\ncreated: 2026-11-23\nfixes:\n- {commit: a761129e3625, title: x}\n", "x.yaml")
    assert 'created: "2026-11-23"' in out
    assert 'commit: "a761129e3625"' in out


def test_the_modeline_leads_to_the_schema_above(tmp_path: Path) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema/rule.schema.json").write_text("{}")
    (tmp_path / "rules/sub").mkdir(parents=True)
    assert schema_for(tmp_path / "rules/sub/a.yaml", "rule") == "../../schema/rule.schema.json"
    assert schema_for(tmp_path / "rules/sub/a.yaml", "probe") is None
    out = format_text("# yaml-language-server: $schema=old.json\nformat: 1\n", "a.yaml", "rule", "new.json")
    assert out == "# yaml-language-server: $schema=new.json\nformat: 1\n"


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n", "a: &x 1\nb: *x\n"])
def test_what_is_no_rule_is_an_error_and_left_alone(text: str) -> None:
    with pytest.raises(KnowledgeError):
        format_text(text, "x.yaml")


KEYS = st.sampled_from(["title", "description", "workaround", "id", "created", "aliases", "x-key"])
TEXTS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z")) | st.sampled_from("\n #:'\"\\"), max_size=30
)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5), st.booleans())
def test_any_document_keeps_its_values_or_is_refused(document: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    try:
        out = format_text(text, "x.yaml", "other")
    except KnowledgeError:
        return  # left alone: that is safe
    assert yaml.safe_load(out) == yaml.safe_load(text)
    assert format_text(out, "x.yaml", "other") == out


def test_the_command_formats_in_place_and_check_says_what_it_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "messy.yaml"
    path.write_text(MESSY)
    path.chmod(0o640)
    assert main(["rule", "fmt", "--check", str(tmp_path)]) == 1
    assert path.read_text() == MESSY
    assert main(["rule", "fmt", "--diff", str(tmp_path)]) == 1
    assert '+title: "a title"' in capsys.readouterr().out
    assert main(["rule", "fmt", str(tmp_path)]) == 0
    assert lines_of(path.read_text()) == lines_of(NEAT)
    assert path.stat().st_mode & 0o777 == 0o640
    assert main(["rule", "fmt", "--check", str(tmp_path)]) == 0
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert main(["rule", "fmt", str(tmp_path)]) == 2
    assert "broken.yaml:2:1: yaml" in capsys.readouterr().err
