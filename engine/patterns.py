"""Regular expressions that are compiled when they are first used.

Compiling the few hundred expressions of the log readers at import would cost more than reading one crash.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Lazy:
    """Looks like a compiled expression; the first use of a method compiles it and keeps the bound methods."""

    def __init__(self, text: str | bytes) -> None:
        self._text = text

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text)
        self.match = compiled.match
        self.search = compiled.search
        self.fullmatch = compiled.fullmatch
        self.finditer = compiled.finditer
        self.findall = compiled.findall
        self.sub = compiled.sub
        return getattr(compiled, name)


def lazy(text: AnyStr) -> re.Pattern[AnyStr]:
    """`text` as a regular expression, compiled at first use; a wrong one raises re.error only then."""
    return cast("re.Pattern[AnyStr]", _Lazy(text))
