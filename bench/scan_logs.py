"""Scanning throughput of console archives against grep with the very triggers.

usage: python bench/scan_logs.py [--megabytes N] [--rounds N] [--json FILE]

Writes an archive of quiet console lines with a crash here and there to a temporary file, and reads it in turn with
`LC_ALL=C grep -c -F -f TRIGGERS` and with scan_stream, each in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from installed import add_installed, installed
from measure import Measured, alternate, number
from section import Bar, Section, run_alone
from surroundings import ROOT

sys.path[:0] = [str(ROOT / ".dev"), str(ROOT / "tests")]

SHARE = 0.5
SCAN = """
import sys
sys.path.insert(0, sys.argv[1])
from kbmatch.collectors.logs.console import scan_stream
with open(sys.argv[2], "rb") as file:
    assert scan_stream(file).events
"""


def archive(path: Path, megabytes: int) -> int:
    """Write the archive; its size in bytes."""
    from corpus import sample_crash

    quiet = "".join(
        f"[{i:5d}.{i % 1000:06d}] usb 1-1: new high-speed USB device number {i} using xhci_hcd\n"
        f"[{i:5d}.{i % 1000:06d}] systemd[1]: Started Session {i} of user root.\n"
        f"[{i:5d}.{i % 1000:06d}] EXT4-fs (sda{i % 9}): mounted filesystem with ordered data mode. Opts: (null)\n"
        for i in range(40_000)
    ).encode()
    crash = sample_crash.dmesg().encode()
    size = 0
    with path.open("wb") as file:
        while size < megabytes << 20:
            size += file.write(quiet) + file.write(crash)
    return size


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    add_installed(parser)


def measure(options: argparse.Namespace) -> Section:
    """Both in turn on the same archive."""
    from kbmatch.collectors.logs.triggers import TRIGGERS

    with tempfile.TemporaryDirectory() as folder, installed(options) as base:
        log, triggers = Path(folder, "archive.log"), Path(folder, "triggers")
        size = archive(log, options.megabytes)
        triggers.write_bytes(b"\n".join(TRIGGERS) + b"\n")
        # not to /dev/null: grep stops at the first match there
        grep = Measured(
            "grep -c -F", ["sh", "-c", f"grep -c -F -f {triggers} {log} | cat"], environment={"LC_ALL": "C"}
        )
        ours = Measured("kbmatch", [sys.executable, "-c", SCAN, str(base), str(log)])
        alternate([grep, ours], options.rounds)
    section = Section(
        f"An archive of {size >> 20} MiB, {options.rounds} rounds",
        ["command", "MB/s", "wall s", "CPU / grep", "wall / grep", "peak MiB"],
    )
    for c in (grep, ours):
        cells = [c.name, number(size / c.median_wall / 1e6), number(c.median_wall), c.cpu_ratio(grep).shown()]
        section.rows.append([*cells, c.wall_ratio(grep).shown(), number(c.median_peak)])
        section.figures[c.name] = c.figures()
    section.bars = [Bar("an archive: share of grep's speed", 1 / ours.wall_ratio(grep).median, SHARE, True)]
    return section


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
