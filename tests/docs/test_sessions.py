"""The sessions in the documentation are run: each "$ command" prints what the page says ("..." stands for anything)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["docs/tutorial/first-rule.md", "docs/private-rules.md"]


def sessions(page: str) -> list[tuple[str, str]]:
    """(command, expected output) of all console blocks, in order."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def pattern_of(expected: str) -> str:
    lines = []
    for line in expected.splitlines(keepends=True):
        if line == "...\n":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(re.escape(line).replace(re.escape("..."), ".*?"))
    return "".join(lines)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_what_the_page_says(page: str, tmp_path: Path) -> None:
    folder = (ROOT / page).parent
    for extra in folder.glob("*.log"):
        shutil.copy(extra, tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / ".cache"), "EDITOR": "false"}
    steps = sessions((ROOT / page).read_text())
    assert len(steps) >= 2
    for command, expected in steps:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        got = done.stdout + done.stderr
        assert re.fullmatch(pattern_of(expected), got), f"$ {command}\n--- expected\n{expected}\n--- got\n{got}"


def test_the_newcomers_session_ends_with_likely() -> None:
    steps = sessions((ROOT / PAGES[0]).read_text())
    commands = [command for command, _ in steps]
    order = [
        next(i for i, command in enumerate(commands) if command.startswith(word))
        for word in (
            "kbmatch core crash.log",
            "kbmatch rule new",
            "sed -i",
            "kbmatch rule fmt",
            "kbmatch core --rules .",
        )
    ]
    assert order == sorted(order)
    assert sum(command.startswith("sed -i") for command in commands) == 2
    assert steps[order[-1]][1].startswith("LIKELY")
