"""Engine: from an incident and rules to findings. Pure: no I/O, and it imports no other room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbmatch.engine.matching import match

__all__ = ["match"]


def __getattr__(name: str) -> Any:
    """`match`, imported when first asked for: most modules of this package are used without the matcher."""
    if name == "match":
        from kbmatch.engine.matching import match

        return match
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
