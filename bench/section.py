"""One part of the report: tables, the bars that the figures are held against, and all figures for the JSON file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bar:
    """A demand: `value` must be at most `limit` (or at least, where `least`)."""

    what: str
    value: float
    limit: float
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the demand is met."""
        return self.value >= self.limit if self.least else self.value <= self.limit

    def line(self) -> str:
        """The demand, what was measured, and whether it holds."""
        word = "at least" if self.least else "at most"
        verdict = "holds" if self.holds else "**does not hold**"
        return f"| {self.what} | {word} {_plain(self.limit)} | {_plain(self.value)} | {verdict} |"


def shown_name(path: Path) -> str:
    """A dump's name; of make_vmcore.py's, which have the same, with its folder's."""
    return f"{path.parent.name}/{path.name}" if path.name.startswith("vmcore.") else path.name


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@dataclass(slots=True)
class Section:
    """A title, tables of cells that are ready to print, notes, bars and figures."""

    title: str
    columns: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def markdown(self, level: str = "##") -> str:
        """The part as text."""
        lines = [f"{level} {self.title}", ""]
        if self.rows:
            lines += _table(self.columns, self.rows)
        lines += [part for note in self.notes for part in (note, "")]
        lines += [part for what in self.skipped for part in (f"**SKIPPED: {what}**", "")]
        return "\n".join(lines).rstrip() + "\n"

    def plain(self) -> dict[str, object]:
        """The part as JSON values."""
        return {
            "title": self.title, "columns": list(self.columns), "rows": [list(row) for row in self.rows],
            "bars": [{"what": b.what, "value": b.value, "limit": b.limit, "least": b.least, "holds": b.holds}
                     for b in self.bars],
            "notes": self.notes, "skipped": self.skipped, "figures": self.figures,
        }  # fmt: skip


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def bars_table(sections: Sequence[Section]) -> str:
    """All demands of the parts in one table."""
    lines = [bar.line() for section in sections for bar in section.bars]
    return "\n".join(["| demand | bar | measured | |", "|---|---|---|---|", *lines])


def run_alone(
    description: str | None,
    measure: Callable[[argparse.Namespace], Section],
    add: Callable[[argparse.ArgumentParser], None],
) -> int:
    """The main function of a script of one part: print it, and write its figures where --json says."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add(parser)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    section = measure(options)
    print(section.markdown())
    if section.bars:
        print(bars_table([section]))
    if options.json:
        options.json.write_text(json.dumps(section.plain(), indent=1) + "\n")
    return 0
