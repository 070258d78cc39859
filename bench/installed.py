"""kbmatch as a wheel installs it, in a folder of its own: it stays what it is while others edit the tree."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surroundings import ROOT

RUN = "import sys; sys.path.insert(0, {base!r}); from kbmatch.cli.main import entry_point; entry_point()"


def install(base: Path) -> None:
    """Install kbmatch into a folder as from a wheel, its knowledge compiled, without its dependencies."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(base), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"kbmatch cannot be installed:\n{done.stderr}")


def command(base: Path, *words: str) -> list[str]:
    """A run of the kbmatch that was installed into `base`."""
    return [sys.executable, "-c", RUN.format(base=str(base)), *words]


@contextmanager
def installed(options: argparse.Namespace) -> Iterator[Path]:
    """The folder that --installed names, else a temporary one with a fresh installation."""
    if options.installed is not None:
        yield options.installed
        return
    with tempfile.TemporaryDirectory() as name:
        base = Path(name, "kbmatch-wheel")
        install(base)
        yield base


def add_installed(parser: argparse.ArgumentParser) -> None:
    """Declare --installed."""
    parser.add_argument("--installed", type=Path, help="a folder with kbmatch in it (pip install --target)")
