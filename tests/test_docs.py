"""What README shows is what kbmatch prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kbmatch.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```\n\$ kbmatch (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)
SHOWN = [(m["command"], m["output"]) for m in BLOCK.finditer((ROOT / "README.md").read_text())]


def _without_digests(text: str) -> str:
    """The last line names the knowledge base's size and digest, which change with every rule."""
    return re.sub(r"knowledge base: .*", "knowledge base: ...", text)


def test_the_readme_shows_some_commands() -> None:
    assert SHOWN


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_the_output_in_the_readme_is_what_the_command_prints(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of three dots stands for any number of lines."""
    monkeypatch.chdir(ROOT)
    main(shlex.split(command))
    printed = _without_digests(capsys.readouterr().out)
    parts = [re.escape(part.strip("\n")) for part in re.split(r"(?m)^\.\.\.$", _without_digests(output))]
    assert re.fullmatch(r"\n*" + r"\n(?:.*\n)*?".join(parts) + r"\n*", printed), printed


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`kbmatch {name}" not in text] == []
