"""What the probes add to `kbmatch core`, and what a module's DWARF costs: bench/probes.py DUMP... [--debuginfo FILE]

Prints milliseconds, the best of five, of everything that reading a driver's state adds after the log was read: finding
symbols and modules, BTF, roots, records. Bounds of issue 5: all probes under 300 ms; DWARF under 2 s once, nothing when
kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kbmatch.collectors.dump import open_dump
from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.probes.run import run_probes
from kbmatch.collectors.types.debuginfo import FileTypes
from kbmatch.kb.store.knowledge import KnowledgeBase


def best(work: Callable[[], object], times: int = 5) -> float:
    """The fastest of several runs, in milliseconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return 1000 * min(found)


def probes_of(path: str, knowledge: KnowledgeBase) -> tuple[float, int, int]:
    """Milliseconds that the probes take on a dump that was just opened, probes that ran, records found."""
    found = []
    ran = records = 0
    for _ in range(5):
        with open_dump(path) as dump:
            events = read_log(dump.log_text()).events
            if dump.memory is None:
                continue
            started = time.perf_counter()
            run = run_probes(dump, dump.memory, knowledge, events)
            found.append(time.perf_counter() - started)
            ran, records = len(run.state), sum(len(state.records) for state in run.state.values())
    return 1000 * min(found, default=0.0), ran, records


def main() -> None:
    """Measure what the command line names."""
    words = sys.argv[1:]
    files = [words[n + 1] for n, word in enumerate(words[:-1]) if word == "--debuginfo"]
    dumps = [word for n, word in enumerate(words) if word != "--debuginfo" and words[n - 1 : n] != ["--debuginfo"]]
    knowledge = KnowledgeBase()
    knowledge.open()
    for path in dumps:
        spent, ran, records = probes_of(path, knowledge)
        print(f"{spent:8.1f} ms  {ran:3} probes, {records:4} records  {path}")
    for name in files:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            spent = best(lambda n=name: read_types(n), 1)  # type: ignore[misc]
            kept = best(lambda n=name: read_types(n), 3)  # type: ignore[misc]
        print(f"{spent:8.1f} ms  once, {kept:.1f} ms when kept  {name}")


def read_types(name: str) -> None:
    """Ask a file for two structs and one that it does not have."""
    file = FileTypes(Path(name))
    for wanted in ("struct napi_struct", "struct net_device", "struct of_nobody"):
        found = file.find(wanted)
        _ = getattr(found, "members", ())
    file.save()


if __name__ == "__main__":
    main()
