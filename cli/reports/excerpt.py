"""Which lines of a log a report shows: those that matter and what stands around them, within a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kbmatch.engine.values import dataclass

BEFORE, AFTER = 15, 110
"""Lines around the fatal event's head: what led there, and a whole oops with its trace."""
AROUND = 3
MAX_LINE = 400
"""Characters of a line that are shown; a Code: line of arm64 has 200."""
MAX_CHARACTERS = 100_000
"""All of the excerpt; with markup a page stays far below 300 KiB."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines that are left out, by number, first and last included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line: its number (1-based), its text, cut to MAX_LINE, and why it matters ("" where it does not)."""

    number: int
    text: str
    why: tuple[str, ...] = ()


def excerpt(
    log: Sequence[str], marked: dict[int, tuple[str, ...]], head: int | None, *, heads: Iterable[int] = ()
) -> Iterator[ShownLine | Gap]:
    """The lines to show, in order, with the gaps between them.

    `head` is the fatal event's first line, `heads` those of other events. A short log is shown whole. Where the bound
    is met, the lines nearest to what matters most stay: the head, then the marked lines, then their surroundings.
    """
    wanted: dict[int, None] = {}

    def want(first: int, last: int) -> None:
        wanted.update(dict.fromkeys(range(max(1, first), min(len(log), last) + 1)))

    for line in (head, *marked):
        if line is not None:
            want(line, line)
    if head is not None:
        want(head, head + AFTER)
        want(head - BEFORE, head)
    for line in marked:
        want(line - AROUND, line + AROUND)
    for line in heads:
        want(line, line + AROUND)
    if head is None:
        want(len(log) - AFTER, len(log))
    if sum(min(len(text), MAX_LINE) + 40 for text in log[:5000]) <= MAX_CHARACTERS and len(log) <= 5000:
        want(1, len(log))
    room = MAX_CHARACTERS
    kept: list[int] = []
    for number in wanted:
        room -= min(len(log[number - 1]), MAX_LINE) + 40
        if room < 0:
            break
        kept.append(number)
    last = 0
    for number in sorted(kept):
        if number > last + 1:
            yield Gap(last + 1, number - 1)
        text = log[number - 1]
        shown = text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]} ... ({len(text)} characters)"
        yield ShownLine(number, shown, marked.get(number, ()))
        last = number
    if last < len(log):
        yield Gap(last + 1, len(log))
