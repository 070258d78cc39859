"""Two reports that two CPUs printed at once, line by line, on a console without caller ids.

Each section of a report (its "Oops:" line, CPU line, RIP, each row of registers, the frames of its trace) occurs as
often in the one as in the other. So a line goes to the report that has had fewer of its section; equal ones take turns.
Exact where the CPUs took turns; where they did not, frames may be swapped, and the reader is told that lines are mixed.
"""

from __future__ import annotations

from collections import Counter

from kbmatch.collectors.logs.draft import Draft
from kbmatch.collectors.logs.lines import Line
from kbmatch.engine.patterns import lazy

_SECTION = lazy(
    r"(?P<frame>(?:\[<[0-9a-f]{8,16}>\] )?(?:\? )?[A-Za-z_.][\w.$]*\+0x[0-9a-f]+/0x)|(?P<mark></?[A-Z]+>)|"
    r"(?P<word>[^:\s]{1,24})(?: \w{1,8})?(?=[:\s]|$)"
)
_END = "---[ end trace "


class Pair:
    """Deals the lines of two interleaved reports out to them."""

    def __init__(self, first: Draft, second: Draft) -> None:
        self.drafts = (first, second)
        first.mixed = second.mixed = True
        self._had: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def pick(self, line: Line) -> Draft:
        """The report that `line` belongs to."""
        match = _SECTION.match(line.text)
        name = (match.lastgroup if match and match.lastgroup in ("frame", "mark") else match and match[0]) or ""
        if name == "mark":
            name = line.text
        at = 0 if self._had[0][name] <= self._had[1][name] else 1
        self._had[at][name] += 1
        return self.drafts[at]

    @property
    def over(self) -> bool:
        """Whether both reports have ended."""
        return all(draft.ended for draft in self.drafts)
