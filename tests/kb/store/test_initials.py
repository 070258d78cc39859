"""Splitting the helper table by initial letter changes no answer."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.kb.store.frames import load_helper_frames
from kbmatch.kb.store.initials import LETTERS, split_by_initial
from kbmatch.kb.store.knowledge import KnowledgeBase

WORDS = sorted(set(re.findall(r"[a-z_]{3,}", load_helper_frames().common)))


@settings(deadline=None)  # the first call compiles the shipped knowledge
@given(st.sampled_from(WORDS) | st.text(alphabet=LETTERS, min_size=1, max_size=12), st.text(LETTERS, max_size=4))
def test_the_split_table_answers_as_the_whole_one(name: str, tail: str) -> None:
    whole, split = load_helper_frames(), KnowledgeBase().helper_frames
    assert split.common_by_initial
    for symbol in (name, name + tail, "__" + name):
        assert split.is_helper(symbol, "bug") == whole.is_helper(symbol, "bug")


def test_expressions_of_all_sorts_are_split() -> None:
    expressions = ["ab|cd", "(x|y)?z", "[m-o]p", r"\w+_q", "(?:r)s", "t*u", "[^v]w"]
    found = split_by_initial(expressions)
    for name in ("ab", "cd", "xz", "yz", "z", "mp", "op", "k_q", "rs", "ttu", "u", "aw", "vw", "bb"):
        expected = any(re.fullmatch(expression, name) for expression in expressions)
        keys = (name[:3], name[:2], name[:1], "")
        assert any(re.fullmatch(found.get(key, "(?!)"), name) for key in keys) == expected, name
    assert found["ab"] == "(?:ab)"


def test_alternatives_are_split_apart_outside_of_brackets_only() -> None:
    found = split_by_initial([r"a(b|c)d|[|x]y|e\|f|[]|]z"])
    assert found["abd"] == found["acd"] == "(?:a(b|c)d)"
    assert found["|y"] == found["xy"] == "(?:[|x]y)"
    assert found["]z"] == found["|z"] == "(?:[]|]z)"
    assert found["e|f"] == r"(?:e\|f)"
    assert len(found) == 7
