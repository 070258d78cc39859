"""Many console logs in one process: logs read a second of CPU time, logs diagnosed, and whether memory stays flat.

usage: python bench/many_logs.py [--count N] [--json FILE] [FOLDER...]

The logs are those of ../shared/corpus (or the *.log files of FOLDERs), again and again until N were read. Each is read
from its file; once only its signature is wanted, once a diagnosis with the shipped knowledge. Memory is the resident
set, after 100 logs, after every log was seen once, after half of N and at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from installed import add_installed, installed
from measure import number
from section import Bar, Section, run_alone
from surroundings import ROOT

CORPUS = ROOT.parent / "shared/corpus"
FOLDERS = (CORPUS / "console", CORPUS / "reports")
RATE, FLAT = 200, 1.05

SCRIPT = """
import gc, json, os, sys, time
base, wanted, count, *paths = sys.argv[1:]
sys.path.insert(0, base)
from kbmatch.collectors import collect
from kbmatch.engine import match
from kbmatch.kb.store import load_rules
rules = load_rules()
count, page = int(count), os.sysconf("SC_PAGE_SIZE")
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * page / 2**20
marks = {100: None, len(paths): None, count // 2: None, count: None}
events = findings = 0
started = time.process_time()
for number in range(1, count + 1):
    incident = collect(paths[number % len(paths)], rules)
    events += len(incident.events)
    if wanted == "verdict":
        findings += len(match(incident, rules).findings)
    if number in marks:
        marks[number] = resident()
spent = time.process_time() - started
json.dump({"seconds": spent, "resident": marks, "events": events, "findings": findings}, sys.stdout)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", metavar="FOLDER", nargs="*", type=Path, default=list(FOLDERS))
    parser.add_argument("--count", type=int, default=2000)
    add_installed(parser)


def measure(options: argparse.Namespace) -> Section:
    """Both ways, each in a process of its own."""
    section = Section(
        f"{options.count:,} console logs in one process",
        ["what", "logs/s of CPU", "resident MiB after 100", "after each once", "after half", "at the end", "crashes"],
    )
    paths = [str(path) for folder in options.folders if folder.is_dir() for path in sorted(folder.glob("*.log"))]
    section.skipped += [f"{folder} is not there" for folder in options.folders if not folder.is_dir()]
    if not paths:
        section.skipped.append("no logs to read")
        return section
    size = sum(Path(path).stat().st_size for path in paths)
    section.notes.append(f"{len(paths)} logs, {number(size / len(paths) / 1024)} KiB each on average.")
    with installed(options) as base:
        for what in ("signature", "verdict"):
            words = [sys.executable, "-c", SCRIPT, str(base), what, str(options.count), *paths]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr[-3000:])
            found: dict[str, Any] = json.loads(done.stdout)
            memory = {int(key): value for key, value in found["resident"].items()}
            rate = options.count / found["seconds"]
            row = [memory.get(100), memory.get(len(paths)), memory.get(options.count // 2), memory[options.count]]
            cells = [number(value) if value else "" for value in row]
            section.rows.append([what, number(rate), *cells, f"{found['events']:,}"])
            section.figures[what] = found
            section.bars.append(Bar(f"logs a second of one core, {what}", rate, RATE, True))
            growth = memory[options.count] / memory[options.count // 2]
            section.bars.append(Bar(f"memory at the end / after half of the logs, {what}", growth, FLAT))
    return section


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
