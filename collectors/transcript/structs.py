"""Parses what crash's struct command (gdb's printer) shows: nested members with their values and lines.

Made for text that people have cut: "... snip ..." lines, comments behind values and missing braces are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kbmatch.collectors.transcript.session import Command
from kbmatch.engine.values import dataclass

MAX_DEPTH = 40
MAX_REPEATS = 65536

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # a string
    r"|'(?:[^'\\]|\\.)*'"  # a character
    r"|<repeats \d{1,9} times>"
    r"|<[^<>\s][^<>]{0,200}>"  # <symbol+offset>
    r"|-?0x[0-9a-fA-F]{1,16}\b|-?\d{1,20}\b"
    r"|[A-Za-z_]\w*"
    r"|[{}=,]"
)
_HEAD = re.compile(r"^\s*(?:(?P<type>(?:struct|union)\s+[A-Za-z_]\w*)|\$\d+ =)\s*\{")
_ADDRESS = re.compile(r"(?:0x)?[0-9a-fA-F]{8,16}")
_SKIPPED_COMMANDS = frozenset(
    {"log", "dmesg", "bt", "dis", "rd", "ps", "sym", "mod", "eval", "edis", "files", "vm", "foreach"}
)


@dataclass(frozen=True, slots=True)
class Printed:
    """A value and the line (1-based) on which it was printed. Members are a dict, an array a list."""

    value: int | str | Mapping[str, Printed] | list[Printed]
    line: int


@dataclass(frozen=True, slots=True)
class PrintedStruct:
    """One struct as printed. `type_name` is "struct x"; `address` None where the command did not tell."""

    type_name: str
    address: int | None
    members: Mapping[str, Printed]
    line: int


def printed_structs(command: Command) -> Iterator[PrintedStruct]:
    """The structs that a command printed; a command that prints none yields none."""
    if command.name in _SKIPPED_COMMANDS or not command.words:
        return
    type_name, address = _what_was_asked(command.words)
    if type_name is None:
        return
    head = next((i for i, line in enumerate(command.output) if _HEAD.match(line)), None)
    tokens = _Tokens(command.output, command.first_output_line)
    if head is not None:
        found = _HEAD.match(command.output[head])
        if found is not None and found["type"]:
            type_name = " ".join(found["type"].split())
        tokens.skip_to_line(command.first_output_line + head)
        tokens.skip_past("{")
    members = _members(tokens, 0)
    if members:
        yield PrintedStruct(type_name, address, members, command.line)


def _what_was_asked(words: tuple[str, ...]) -> tuple[str | None, int | None]:
    """Type and address that the command names: `struct [-opts] TYPE[.member] ADDR`, `TYPE ADDR`, `*TYPE ADDR`."""
    rest = [word for word in words if not word.startswith("-")]
    keyword = rest[0] in ("struct", "union", "*")
    names = rest[1:] if keyword else rest
    if not names:
        return None, None
    name = names[0].lstrip("*").split(".")[0]
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        return None, None
    address = next((int(word, 16) for word in names[1:] if _ADDRESS.fullmatch(word)), None)
    if not keyword and address is None:
        return None, None
    return f"{'union' if rest[0] == 'union' else 'struct'} {name}", address


class _Tokens:
    """Tokens of the output lines with their line numbers, one at a time."""

    def __init__(self, lines: tuple[str, ...], first_line: int) -> None:
        self._items = [
            (match[0], first_line + number) for number, line in enumerate(lines) for match in _TOKEN.finditer(line)
        ]
        self._next = 0

    def peek(self, ahead: int = 0) -> str | None:
        at = self._next + ahead
        return self._items[at][0] if at < len(self._items) else None

    def take(self) -> tuple[str, int]:
        item = self._items[self._next]
        self._next += 1
        return item

    def skip_to_line(self, line: int) -> None:
        while self._next < len(self._items) and self._items[self._next][1] < line:
            self._next += 1

    def skip_past(self, token: str) -> None:
        while self._next < len(self._items) and self.take()[0] != token:
            pass


def _is_name(token: str | None) -> bool:
    return token is not None and (token[0].isalpha() or token[0] == "_")


def _members(tokens: _Tokens, depth: int) -> dict[str, Printed]:
    found: dict[str, Printed] = {}
    while (token := tokens.peek()) is not None:
        if token == "}":
            tokens.take()
            break
        if _is_name(token) and tokens.peek(1) == "=":
            name, line = tokens.take()
            tokens.take()
            value = _value(tokens, depth + 1)
            if value is not None:
                found[name] = Printed(value.value, line)
        elif token == "{" and depth < MAX_DEPTH:
            tokens.take()  # an anonymous struct or union: its members are the outer one's
            found.update(_members(tokens, depth + 1))
        else:
            tokens.take()
    return found


def _value(tokens: _Tokens, depth: int) -> Printed | None:
    token = tokens.peek()
    if token is None or token in ("}", ","):
        return None
    if token == "{":
        _, line = tokens.take()
        if depth >= MAX_DEPTH:
            return None
        if _is_name(tokens.peek()) and tokens.peek(1) == "=":
            return Printed(_members(tokens, depth), line)
        return Printed(_array(tokens, depth), line)
    text, line = tokens.take()
    value = _scalar(text)
    return None if value is None else Printed(value, line)


def _array(tokens: _Tokens, depth: int) -> list[Printed]:
    found: list[Printed] = []
    while (token := tokens.peek()) is not None:
        if token == "}":
            tokens.take()
            break
        if token.startswith("<repeats") and found:
            tokens.take()
            times = min(int(token.split()[1]), MAX_REPEATS - len(found))
            found.extend([found[-1]] * max(times - 1, 0))
        elif _is_name(token) and tokens.peek(1) == "=":
            break  # a cut array: the next member begins
        else:
            value = _value(tokens, depth + 1) if token != "," else None
            if value is not None and len(found) < MAX_REPEATS:
                found.append(value)
            elif token == ",":
                tokens.take()
    return found


def _scalar(text: str) -> int | str | None:
    if text.startswith('"'):
        return text[1:-1].split("\\000", maxsplit=1)[0]
    try:
        return int(text, 0)
    except ValueError:
        pass
    if text.lstrip("-").isdigit():
        return int(text)  # a leading zero
    return text if _is_name(text) else None
