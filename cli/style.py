"""Colours and safe text for a terminal."""

from __future__ import annotations

import shlex

from kbmatch.engine.values import dataclass

_VERDICT_COLOURS = {
    "known-issue": "1;32",
    "needs-escalation": "1;33",
    "not-a-kernel-bug": "1;36",
    "no-crash": "1",
}


@dataclass(frozen=True, slots=True)
class Style:
    """Wraps text in ANSI sequences, or leaves it alone."""

    colour: bool

    def _wrap(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def bold(self, text: str) -> str:
        """What the eye should find first."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """Names and numbers that few readers need."""
        return self._wrap("2", text)

    def heading(self, text: str) -> str:
        """A section's title."""
        return self._wrap("1;4", text) if self.colour else f"{text}\n{'-' * len(text)}"

    def verdict(self, word: str, outcome: str) -> str:
        """The verdict's word, coloured by outcome."""
        return self._wrap(_VERDICT_COLOURS[outcome], word)


def shell_name(path: str) -> str:
    """An input as it is typed into a shell; standard input has no name."""
    return shlex.quote(plain_text(path)) if path != "-" else "FILE"


def plain_text(text: str) -> str:
    """Text from an input made safe for a terminal: control characters and direction marks become "?"."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
