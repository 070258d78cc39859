"""Patterns of rules: what Python's matcher could be kept busy with is refused."""

from __future__ import annotations

import time

import pytest

from kbmatch.engine.linear_regex import search, why_not_linear


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+b", r"(a|aa)*$(x+)*", r"(\w+)\1", r"(?=a)b", r"(?<!a)b", r"(((", "a" * 300, r".*.*.*x", r"(a{1,50}){20,}"],
)
def test_dangerous_or_broken_patterns_are_refused(pattern: str) -> None:
    assert why_not_linear(pattern)


@pytest.mark.parametrize("pattern", [r"^xen\w+_poll$", r"line \d+ of .*x", r"(foo|bar)baz", r"[0-9a-f]{8,16}"])
def test_ordinary_patterns_pass(pattern: str) -> None:
    assert why_not_linear(pattern) is None


def test_the_worst_allowed_pattern_ends_soon_on_a_long_text() -> None:
    pattern = r"a+.*c"
    assert why_not_linear(pattern) is None
    started = time.process_time()
    assert not search(pattern, "a" * 1_000_000)
    assert time.process_time() - started < 30
