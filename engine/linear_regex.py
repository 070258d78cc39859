"""Regular expressions from rules: only those that Python's matcher runs in about linear time.

Rules may come from elsewhere, and Python's engine backtracks: "(a+)+b" takes for ever on a long log line. Refused
are back references, look-around, a repeat within a repeat, and more than two unbounded repeats in one pattern.
"""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

MAX_LENGTH = 200
MAX_UNBOUNDED = 2
SEARCHED = 512
"""Characters of a value that a pattern is applied to: two repeats and the search's own start make the worst pattern
cubic, some 20 million steps at this length. Lines of kernel logs are shorter."""

_FORBIDDEN = {
    "GROUPREF": "a back reference",
    "GROUPREF_EXISTS": "a back reference",
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_SMALL_REPEAT = 16


def why_not_linear(pattern: str) -> str | None:
    """What makes the pattern unusable, in words, or None if it is fine."""
    if len(pattern) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    try:
        tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"it is no regular expression: {error}"
    unbounded = 0

    def walk(items: Any, repeated: bool) -> str | None:
        nonlocal unbounded
        for op, argument in items:
            name = str(op)
            if name in _FORBIDDEN:
                return f"it has {_FORBIDDEN[name]}"
            if name in _REPEATS:
                _, most, body = argument
                if most == _constants.MAXREPEAT or most > _SMALL_REPEAT:
                    unbounded += 1
                    if repeated:
                        return "it repeats a repeat"
                    problem = walk(body, True)
                else:
                    problem = walk(body, repeated)
            elif name == "SUBPATTERN":
                problem = walk(argument[3], repeated)
            elif name == "BRANCH":
                problem = next((p for p in (walk(b, repeated) for b in argument[1]) if p), None)
            elif name == "ATOMIC_GROUP":
                problem = walk(argument, repeated)
            else:
                problem = None
            if problem:
                return problem
        return None

    problem = walk(tree, False)
    if problem is None and unbounded > MAX_UNBOUNDED:
        problem = f"it has more than {MAX_UNBOUNDED} unbounded repeats"
    return problem


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the first `SEARCHED` characters of the text (`re` caches the compilation)."""
    return re.search(pattern, text[:SEARCHED]) is not None
