"""Splits the text of a crash(8) session into commands and their output.

A prompt is "crash> ", or the name under which the program was started ("crash7latest> "). Text between the commands
(a write-up's prose) belongs to the output of the command before it and does no harm there. Of a backtrace that was
pasted without its prompt, all is preamble.
"""

from __future__ import annotations

import re

from kbmatch.engine.values import dataclass

_PROMPT_TEXT = r"^[ \t]*(crash[\w.+-]{0,30})>[ \t]*([^\r\n]*)"
_PROMPT = re.compile(_PROMPT_TEXT)
_PROMPT_BYTES = re.compile(_PROMPT_TEXT.encode(), re.MULTILINE)
_HEADER = re.compile(rb"^[ \t]+(?:KERNEL|DUMPFILE):[ \t]", re.MULTILINE)
_BACKTRACE = re.compile(rb"^[ \t>]*#?[ \t]?\d{1,3} \[ff[0-9a-f]{14}\] [\w.]+(?:\+\w+)? at [0-9a-f]{16}", re.MULTILINE)
LOG_COMMANDS = frozenset({"log", "dmesg"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the session: its words, and its output; `line` is the prompt's (1-based)."""

    words: tuple[str, ...]
    line: int
    output: tuple[str, ...]

    @property
    def name(self) -> str:
        """The command's name, "" for an empty prompt."""
        return self.words[0] if self.words else ""

    @property
    def first_output_line(self) -> int:
        """The line number (1-based) of the first line of output."""
        return self.line + 1


@dataclass(frozen=True, slots=True)
class Session:
    """The commands in order; `preamble` is what stands before the first one."""

    preamble: tuple[str, ...]
    commands: tuple[Command, ...]

    def everything(self) -> tuple[Command, ...]:
        """The preamble as a nameless command, then the commands."""
        return (Command((), 0, self.preamble), *self.commands)


def is_session(data: bytes) -> bool:
    """Whether the text is a crash session: a prompt with a command, the header that crash prints, or bt alone."""
    prompts = _PROMPT_BYTES.finditer(data)
    if any(match[2].strip() for match in prompts):
        return True
    if len(_HEADER.findall(data)) >= 2:
        return True
    return b" [ff" in data and len(_BACKTRACE.findall(data)) >= 2  # kernel stacks; a large log is not searched twice


def split_session(data: bytes) -> Session:
    """The session. Never raises; bytes that are not UTF-8 become replacement characters."""
    lines = data.decode("utf-8", "replace").split("\n")
    lines = [line.rstrip("\r") for line in lines]
    commands: list[Command] = []
    start, words = 0, None
    preamble: tuple[str, ...] = ()
    for number, line in enumerate([*lines, None]):
        found = None if line is None else _PROMPT.match(line)
        if line is not None and found is None:
            continue
        output = tuple(lines[start:number])
        if words is None:
            preamble = output
        else:
            commands.append(Command(words, start, output))
        if found is not None:
            words = _words(found[2])
            start = number + 1
    return Session(preamble, tuple(commands))


def _words(text: str) -> tuple[str, ...]:
    """The words before a pipe or redirection."""
    return tuple(re.split(r"[|>]", text, maxsplit=1)[0].split())


def log_lines_only(session: Session, total_lines: int) -> bytes:
    """The session's text with everything but the output of log commands blanked, so that line numbers stay true."""
    kept = [""] * total_lines
    for command in session.commands:
        if command.name in LOG_COMMANDS:
            kept[command.line : command.line + len(command.output)] = command.output
    return "\n".join(kept).encode("utf-8", "replace")
