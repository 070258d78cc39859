"""What the figures were measured with: machine, kernel, versions of every tool, the commit of kbmatch."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def first_line(command: Sequence[str]) -> str | None:
    """The first line that a command prints, None if it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip().split("\n")[0] or None


def surroundings() -> dict[str, str]:
    """Name -> version, in the order of a report."""
    found = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_cpu()}, {os.cpu_count()} CPUs, {_memory()}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "kernel": platform.release(),
        "python": f"{platform.python_version()} {platform.python_implementation()}",
        "sqlite": sqlite3.sqlite_version,
        "kbmatch": _kbmatch(),
        "capstone": _package("capstone"),
        "ahocorasick_rs": _package("ahocorasick_rs"),
    }
    for name, command in (
        ("crash", ["crash", "--version"]),
        ("makedumpfile", ["makedumpfile", "-v"]),
        ("grep", ["grep", "--version"]),
        ("qemu", ["qemu-system-x86_64", "--version"]),
    ):
        found[name] = first_line(command) or "not installed"
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GiB"


def _package(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _kbmatch() -> str:
    git = ["git", "-C", str(ROOT)]
    commit = first_line([*git, "rev-parse", "--short=12", "HEAD"]) or "no commit"
    changed = first_line([*git, "status", "--porcelain", "--untracked-files=no"])
    return f"{_package('kbmatch')}, commit {commit}{' with uncommitted changes' if changed else ''}"


def compile_bytecode() -> None:
    """Compile all modules: where Python may not write bytecode on import, every start would compile them anew."""
    rooms = [str(ROOT / room) for room in ("cli", "collectors", "engine", "kb")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *rooms], check=False)
