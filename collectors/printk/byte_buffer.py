"""The log of kernels before 3.5: a ring of characters, lines as printed with "<6>" in front.

Source: kernel/printk.c of 2.6.32 and 3.4: `log_end` counts every character ever written, the index is its low
bits; `logged_chars` is how many are there since the last clear.
"""

from __future__ import annotations

import re

from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.collectors.printk.record import PrintkRecord, RecordReading
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable

MAX_BUFFER = 1 << 28
_PREFIX = re.compile(rb"<(\d{1,3})>")
_PAGE = 4096


def read_byte_buffer(memory: Memory, info: VmcoreInfo) -> RecordReading:
    """One record a line, oldest first; the time is part of the text.

    Raises DamagedDump where the variables make no sense, MemoryUnavailable where they were left out.
    """
    symbols = info.symbols
    buffer = memory.read_u64(symbols["log_buf"])
    size = memory.read_u32(symbols["log_buf_len"])
    end = memory.read_u32(symbols["log_end"])
    count = min(memory.read_u32(symbols["logged_chars"]) if "logged_chars" in symbols else end, end, size)
    if not 0 < size <= MAX_BUFFER or size & size - 1:
        raise DamagedDump(f"0x{buffer:x}: a log of {size} bytes makes no sense")
    reading = RecordReading([])
    start = (end - count) % size
    first = min(count, size - start)
    text = _read(memory, buffer + start, first, reading) + _read(memory, buffer, count - first, reading)
    lines = text.split(b"\n")
    if count == size and lines:
        # The ring wrapped: the first line has lost its beginning.
        lines = lines[1:]
    if lines and not lines[-1]:
        lines.pop()
    for seq, line in enumerate(lines):
        match = _PREFIX.match(line)
        priority = int(match[1]) if match else 4
        body = line[match.end() :] if match else line
        reading.records.append(PrintkRecord(seq, None, priority & 7, priority >> 3, None, body.replace(b"\0", b"")))
    return reading


def _read(memory: Memory, address: int, length: int, reading: RecordReading) -> bytes:
    """What is there, page by page; a page that was left out becomes a line break."""
    if length == 0:
        return b""
    try:
        return memory.read(address, length)
    except MemoryUnavailable:
        pass
    parts: list[bytes] = []
    done = 0
    while done < length:
        step = min(_PAGE - (address + done) % _PAGE, length - done)
        try:
            parts.append(memory.read(address + done, step))
        except MemoryUnavailable:
            parts.append(b"\n")
            reading.lose(f"{step} bytes are not in this dump", 0)
        done += step
    return b"".join(parts)
