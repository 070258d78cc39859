"""What crash's rd command printed: words at addresses."""

from __future__ import annotations

import re

from kbmatch.collectors.transcript.session import Command
from kbmatch.engine.values import dataclass, field

_LINE = re.compile(
    r"^\s*(?P<address>[0-9a-f]{8,16}):\s+(?P<words>[0-9a-f]{2,16}(?:\s[0-9a-f]{2,16}|\s\s[0-9a-f]{2,16})*)(?=\s|$)"
)
_OTHER_FORMAT = re.compile(r"-\w*[dDaNsS]\w*")
"""Options of rd by which it prints something else than hexadecimal words (crash 8, help rd)."""


@dataclass(slots=True)
class PrintedMemory:
    """Bytes that the session showed, little-endian as on x86, with the line that showed them."""

    _bytes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, address: int, value: int, size: int, line: int) -> None:
        """Note a word of `size` bytes."""
        for offset, byte in enumerate((value & ((1 << 8 * size) - 1)).to_bytes(size, "little")):
            self._bytes[address + offset] = (byte, line)

    def read(self, address: int, size: int) -> tuple[int, int] | None:
        """The unsigned value at the address and its line, None if not all of its bytes were shown."""
        shown = [self._bytes.get(address + offset) for offset in range(size)]
        known = [item for item in shown if item is not None]
        if not known or len(known) != size:
            return None
        return int.from_bytes(bytes(byte for byte, _ in known), "little"), known[0][1]

    def add_rd(self, command: Command) -> None:
        """Note the words of an rd command; all words of a line have the width of its first."""
        if command.name != "rd" or any(_OTHER_FORMAT.fullmatch(word) for word in command.words):
            return
        for number, text in enumerate(command.output):
            found = _LINE.match(text)
            if found is None:
                continue
            words = found["words"].split()
            size = len(words[0]) // 2
            if size not in (1, 2, 4, 8):
                continue
            address = int(found["address"], 16)
            for word in words:
                if len(word) != 2 * size:
                    break  # the text column
                self.add(address, int(word, 16), size, command.first_output_line + number)
                address += size
