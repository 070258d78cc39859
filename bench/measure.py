"""Runs whole commands and takes wall time, CPU time and peak memory; alternating, so that noise hits all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Measured:
    """Runs of one command: seconds of wall and CPU (user + system), MiB of peak resident memory, last exit status."""

    name: str
    command: Sequence[str]
    stdin: bytes | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    status: int = 0

    def run(self) -> None:
        """Run the command once, its output thrown away."""
        started = time.perf_counter()
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE if self.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if self.stdin is not None and process.stdin is not None:
            process.stdin.write(self.stdin)
            process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = self.status = os.waitstatus_to_exitcode(status)
        self.wall.append(time.perf_counter() - started)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak.append(usage.ru_maxrss / 1024)

    @property
    def median_wall(self) -> float:
        """Median wall seconds."""
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(self.cpu)


def alternate(commands: Sequence[Measured], rounds: int) -> None:
    """Run each command once (not counted, to warm caches), then all of them in turn, `rounds` times."""
    for command in commands:
        command.run()
        command.wall.clear()
        command.cpu.clear()
        command.peak.clear()
    for _ in range(rounds):
        for command in commands:
            command.run()


def table(commands: Sequence[Measured], reference: Measured) -> str:
    """A markdown table; ratios say how many times the reference's figure a command needs."""
    lines = [
        "| command | wall s (min - max) | CPU s | peak MiB | wall / ours | CPU / ours | memory / ours | exit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.name} | {c.median_wall:.3f} ({min(c.wall):.3f} - {max(c.wall):.3f}) | {c.median_cpu:.3f} "
        f"| {max(c.peak):.0f} | {c.median_wall / reference.median_wall:.2f} "
        f"| {c.median_cpu / reference.median_cpu:.2f} | {max(c.peak) / max(reference.peak):.2f} | {c.status} |"
        for c in commands
    ]
    return "\n".join(lines)
