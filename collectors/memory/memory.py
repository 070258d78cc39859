"""The crashed kernel's virtual memory, read through its page tables."""

from __future__ import annotations

import struct

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.memory.translation import Translation
from kbmatch.engine.errors import MemoryUnavailable, NotMapped

# Nothing in a kernel that is read in one piece is larger; a damaged length must not eat the machine.
MAX_READ = 64 << 20


class Memory:
    """Reads by virtual address. What the dump left out raises, it is never zeros.

    All integers are little-endian and unsigned.
    """

    def __init__(self, container: Container, translation: Translation) -> None:
        self.container = container
        self.translation = translation

    def translate(self, address: int) -> int:
        """The physical address. Raises NotMapped, NotInDump."""
        return self.translation.translate(address)[0]

    def read(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises NotInDump, NotMapped (also for a length that makes no sense)."""
        if length < 0 or length > MAX_READ or address < 0 or address + length > 1 << 64:
            raise NotMapped(address, f"{length} bytes cannot be read in one piece")
        physical, together = self.translation.translate(address)
        if length <= together:
            return self.container.read_physical(physical, length)
        parts: list[bytes] = []
        start, span = physical, together
        done = together
        while done < length:
            physical, together = self.translation.translate(address + done)
            if physical == start + span:
                span += together
            else:
                parts.append(self.container.read_physical(start, span))
                start, span = physical, together
            done += together
        parts.append(self.container.read_physical(start, span - (done - length)))
        return b"".join(parts)

    def read_u8(self, address: int) -> int:
        """One byte."""
        return self.read(address, 1)[0]

    def read_u16(self, address: int) -> int:
        """Two bytes."""
        return int.from_bytes(self.read(address, 2), "little")

    def read_u32(self, address: int) -> int:
        """Four bytes."""
        return int.from_bytes(self.read(address, 4), "little")

    def read_u64(self, address: int) -> int:
        """Eight bytes: also pointers and unsigned long."""
        return int.from_bytes(self.read(address, 8), "little")

    def read_u64_array(self, address: int, count: int) -> tuple[int, ...]:
        """`count` values of 8 bytes."""
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))

    def read_c_string(self, address: int, limit: int = 256) -> bytes:
        """The bytes up to the first NUL, `limit` at most. Raises only if the first byte cannot be read."""
        text = b""
        while len(text) < limit:
            at = address + len(text)
            step = min(limit - len(text), 64, 4096 - (at & 4095))
            try:
                piece = self.read(at, step)
            except MemoryUnavailable:
                if text:
                    return text
                raise
            text += piece
            if b"\0" in piece:
                break
        return text.split(b"\0", 1)[0]
