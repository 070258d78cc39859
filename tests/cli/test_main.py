"""How a command ends: its status, and no traceback whatever becomes of its output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "examples/founding-case/dmesg.log"
KBMATCH = [sys.executable, "-c", "from kbmatch.cli.main import entry_point; entry_point()"]


def test_a_full_disk_is_said_in_one_line() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as output:
        ended = subprocess.run(
            [*KBMATCH, "core", str(LOG)], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr == "kbmatch: the output could not be written: No space left on device\n"


def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    command = subprocess.Popen([*KBMATCH, "core", str(LOG)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    assert command.wait() == 2


def test_all_output_is_written_before_the_process_leaves(tmp_path: Path) -> None:
    target = tmp_path / "report"
    with target.open("w") as output:
        ended = subprocess.run([*KBMATCH, "core", str(LOG)], stdout=output, check=False)
    assert ended.returncode == 0
    assert "knowledge base:" in target.read_text().splitlines()[-1]


def test_help_fits_the_terminal_it_is_asked_in() -> None:
    for columns in (60, 100):
        ended = subprocess.run(
            [*KBMATCH, "core", "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": str(columns)}
        )
        options = ended.stdout.partition("options:")[2].partition("\n\n")[0]
        assert columns // 2 < max(map(len, options.splitlines())) <= columns
