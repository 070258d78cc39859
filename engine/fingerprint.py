"""Fingerprints: short keys by which the same crash is known again, on another host and on another build.

Three depths, each a key of its own, so that a reader may choose how much must agree:

    culprit   kind and culprit: the same function crashed in the same way
    frames    and the functions that led there: the same path
    exact     and offsets, sizes and release: the same place of the same build

Of the first two nothing depends on the build: no offset, address, module tag (a driver may be built in), decoration
(`.isra.0`, `.cold`) or helper frame takes part. A key is "k<FORMAT><depth>-" and 16 hex digits of SHA-256; FORMAT
changes when the same crash would get another key, so that keys of two formats are never taken for different crashes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from kbmatch.engine.culprit import HelperFrames, culprit_of
from kbmatch.engine.signature import Frame, Signature
from kbmatch.engine.symbols import strip_decorations
from kbmatch.engine.values import dataclass

FORMAT = 1
DEPTHS: tuple[str, ...] = ("culprit", "frames", "exact")
FRAMES = 4
"""Functions of the path behind the culprit that take part: deeper ones say who called, not what broke."""

_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The keys of one event, by depth; `words` says in words what the two coarse ones stand for."""

    culprit: str
    frames: str
    exact: str
    words: str

    def at(self, depth: str) -> str:
        """The key of one of DEPTHS."""
        return {"culprit": self.culprit, "frames": self.frames, "exact": self.exact}[depth]


def fingerprint(event: Signature, helpers: HelperFrames, release: str | None = None) -> Fingerprint:
    """The keys of one event; `release` is its kernel's. An event without any function is known by its message."""
    culprit = event.culprit or culprit_of(event, helpers)
    name = culprit.symbol if culprit else event.symbol or _message(event.message)
    path = tuple(_path(event, helpers, name))
    coarse = (event.kind, name)
    exact = (
        event.release or release or "",
        event.printed or "",
        event.source_line or "",
        *(frame.printed for frame in _trace(event) if frame.reliable),
    )
    return Fingerprint(
        _key("c", coarse),
        _key("f", (*coarse, *path)),
        _key("x", (*coarse, *exact)),
        f"{event.kind} in {name}" + (f" < {' < '.join(path)}" if path else ""),
    )


def _key(depth: str, parts: Iterable[str]) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"k{FORMAT}{depth}-{digest[:16]}"


def _trace(event: Signature) -> tuple[Frame, ...]:
    """The event's trace; a report on blocked tasks has one for each, and the first stands for it."""
    return event.trace or (event.tasks[0].trace if event.tasks else ())


def _path(event: Signature, helpers: HelperFrames, culprit: str) -> Iterable[str]:
    """The functions behind the culprit, without helpers; those that the compiler cloned or split count once."""
    names = [strip_decorations(frame.symbol) for frame in _trace(event) if frame.reliable]
    if culprit in names:
        names = names[names.index(culprit) + 1 :]
    last, given = culprit, 0
    for symbol in names:
        if symbol == last or helpers.is_helper(symbol, event.kind):
            continue
        yield symbol
        last = symbol
        given += 1
        if given == FRAMES:
            return


def _message(text: str) -> str:
    """A message without what differs from one crash to the next: numbers and addresses."""
    return " ".join(_NUMBERS.sub("#", text).split())
