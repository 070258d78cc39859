#!/usr/bin/env python3
"""Scanning throughput of console archives against grep with the very triggers, and logs read a second.

usage: scan_logs.py [--megabytes N] [--logs FOLDER]

Writes an archive of quiet console lines with a crash here and there to a temporary file, reads it once with
`LC_ALL=C grep -c -F -f TRIGGERS` and once with scan_stream (best of three each), and prints both speeds and their
ratio. Exit status 1 if kbmatch is slower than half of grep.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / ".dev"), str(ROOT / "tests")]

from corpus import sample_crash  # noqa: E402
from kbmatch.collectors.logs.console import read_log, scan_stream  # noqa: E402
from kbmatch.collectors.logs.triggers import TRIGGERS  # noqa: E402


def archive(path: Path, megabytes: int) -> int:
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


def best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--logs", type=Path, help="a folder of *.log: how many are read a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log, triggers = Path(folder, "archive.log"), Path(folder, "triggers")
        size = archive(log, arguments.megabytes)
        triggers.write_bytes(b"\n".join(TRIGGERS) + b"\n")
        command = ["grep", "-c", "-F", "-f", str(triggers), str(log)]
        environment = {**os.environ, "LC_ALL": "C"}
        # not to /dev/null: grep stops at the first match there
        grep = best(lambda: subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False))

        def scan() -> None:
            with log.open("rb") as file:
                assert scan_stream(file).events

        ours = best(scan)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"grep     {size / grep / 1e6:8.0f} MB/s")
    print(f"kbmatch  {size / ours / 1e6:8.0f} MB/s   peak memory {peak:.0f} MiB for an archive of {size >> 20} MiB")
    print(f"ratio    {grep / ours:8.2f}   (at least 0.5)")
    if arguments.logs:
        logs = [path.read_bytes() for path in sorted(arguments.logs.glob("*.log"))]
        seconds = best(lambda: [read_log(data) for data in logs])
        print(f"logs     {len(logs) / seconds:8.0f} a second, {sum(map(len, logs)) / len(logs) / 1024:.1f} KiB each")
    return 0 if grep / ours >= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
