"""Sparing a pattern its compilation never changes what it finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.products import Pattern

PARTS = [
    "4",
    "1",
    r"\.",
    "-",
    "[0-9]",
    "[(|)]",
    "(?:a|b)",
    "(?P<x>1|4)",
    "|",
    "?",
    "*",
    "a",
    r"\|",
    "(4)",
    r"[\]|]",
    "$",
]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=8), st.text("41.-ab|(]", max_size=6))
def test_a_pattern_finds_what_the_regular_expression_finds(parts: list[str], text: str) -> None:
    expression = "^" + "".join(parts)
    try:
        expected = re.compile(expression, re.ASCII).search(text)
    except re.error:
        return
    found = Pattern((("release", expression),)).match({"release": text})
    assert (found is None) == (expected is None)


@pytest.mark.parametrize(
    ("expression", "text"), [(r"^4\.1|x", "x"), (r"^4?1", "1"), (r"^4{0}1", "1"), (r"^[|]4|b", "b")]
)
def test_what_may_be_absent_or_has_another_branch_is_found(expression: str, text: str) -> None:
    assert Pattern((("release", expression),)).match({"release": text}) is not None
