"""kbmatch core of a console log against `python -c pass`, whole commands: as a wheel installs it, and out of the tree.

usage: python bench/cold_start.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from installed import add_installed, command, installed
from measure import Measured, alternate, number
from section import Bar, Section, run_alone
from surroundings import ROOT

LOG = ROOT / "examples/founding-case/dmesg.log"
RATIO, RATIO_CODE, PEAK_MIB = 7, 15, 60


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=21)
    add_installed(parser)


def measure(options: argparse.Namespace) -> Section:
    """Run them in turn."""
    with tempfile.TemporaryDirectory() as name, installed(options) as base:
        folder = Path(name)
        lines = LOG.read_text().splitlines(keepends=True)
        with_code, without = LOG, folder / "without-code.log"
        without.write_text("".join(line for line in lines if "Code:" not in line))
        script = str(Path(sys.executable).parent / "kbmatch")
        python = Measured("python -c pass", [sys.executable, "-c", "pass"])
        commands = [
            python,
            Measured("a log without a Code: line", command(base, "core", str(without))),
            Measured("a log with one (capstone)", command(base, "core", str(with_code))),
            Measured("without, out of a source tree", [script, "core", str(without)]),
            Measured("with, out of a source tree", [script, "core", str(with_code)]),
        ]
        alternate(commands, options.rounds)
    plain, code = commands[1], commands[2]
    section = Section(
        f"Cold start: kbmatch core of a log, {options.rounds} rounds",
        ["command", "CPU ms", "wall ms", "CPU / python, median (quartiles)", "peak MiB", "exit"],
        notes=["CPU is user + system of the whole command. A wheel brings its knowledge compiled; a source tree is "
               "looked at for changed rules on each run."],
    )  # fmt: skip
    for c in commands:
        cells = [c.name, number(c.median_cpu * 1e3), number(c.median_wall * 1e3), c.cpu_ratio(python).shown()]
        section.rows.append([*cells, number(c.median_peak), str(c.status)])
        section.figures[c.name] = c.figures()
    section.bars = [
        Bar("log without a `Code:` line: CPU / `python -c pass`", plain.cpu_ratio(python).median, RATIO),
        Bar("log with one: CPU / `python -c pass`", code.cpu_ratio(python).median, RATIO_CODE),
        Bar("peak memory of both, MiB", max(plain.median_peak, code.median_peak), PEAK_MIB),
    ]
    return section


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
