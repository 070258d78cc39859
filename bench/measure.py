"""Runs whole commands and takes wall time, CPU time and peak memory; alternating, so that noise hits all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles of some values."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The quartiles; of fewer than four values the extremes."""
        middle = statistics.median(values)
        if len(values) < 4:
            return cls(min(values), middle, max(values))
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, middle, high)

    def shown(self, factor: float = 1.0) -> str:
        """ "12.3 (11.9 - 13.0)", three significant digits."""
        return f"{number(self.median * factor)} ({number(self.low * factor)} - {number(self.high * factor)})"


def number(value: float) -> str:
    """Three significant digits, no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


# A child's peak counts what its parent held when it forked: a small interpreter starts the command and measures it.
_LAUNCHER = """
import os, sys, time
started = time.perf_counter()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
wall = time.perf_counter() - started
text = f"{wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}"
os.write(int(sys.argv[1]), text.encode())
"""


@dataclass(slots=True)
class Measured:
    """Runs of one command: seconds of wall and CPU (user + system), MiB of peak resident memory, last exit status."""

    name: str
    command: Sequence[str]
    stdin: bytes | None = None
    environment: Mapping[str, str] | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    status: int = 0

    def run(self) -> None:
        """Run the command once, its output thrown away."""
        reading, writing = os.pipe()
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writing), *self.command],
            input=self.stdin if self.stdin is not None else b"",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=None if self.environment is None else {**os.environ, **self.environment},
            pass_fds=[writing],
            check=True,
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            wall, cpu, peak, status = pipe.read().split()
        self.wall.append(float(wall))
        self.cpu.append(float(cpu))
        self.peak.append(int(peak) / 1024)
        self.status = int(status)

    @property
    def median_wall(self) -> float:
        """Median wall seconds."""
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        """Median CPU seconds."""
        return statistics.median(self.cpu)

    @property
    def median_peak(self) -> float:
        """Median of the peaks, MiB."""
        return statistics.median(self.peak)

    def cpu_ratio(self, reference: Measured) -> Spread:
        """How many times the reference's CPU time it needs, round by round."""
        return Spread.of([mine / theirs for mine, theirs in zip(self.cpu, reference.cpu, strict=True)])

    def wall_ratio(self, reference: Measured) -> Spread:
        """How many times the reference's wall time it needs, round by round."""
        return Spread.of([mine / theirs for mine, theirs in zip(self.wall, reference.wall, strict=True)])

    def figures(self) -> dict[str, object]:
        """All that was measured, for the JSON file."""
        return {
            "command": list(map(str, self.command)), "exit": self.status, "wall_seconds": self.wall,
            "cpu_seconds": self.cpu, "peak_mib": self.peak,
        }  # fmt: skip


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
