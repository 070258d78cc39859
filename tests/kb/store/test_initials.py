"""Splitting the helper table by initial letter changes no answer."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from kbmatch.kb.store.frames import load_helper_frames
from kbmatch.kb.store.initials import LETTERS, split_by_initial
from kbmatch.kb.store.knowledge import KnowledgeBase

WORDS = sorted(set(re.findall(r"[a-z_]{3,}", load_helper_frames().common)))


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
        assert (re.fullmatch(found.get(name[0], "(?!)"), name) is not None) == expected, name
    assert len(found["a"]) < sum(map(len, expressions))
