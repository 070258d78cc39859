"""The log of Linux 3.5 to 5.9: records of variable length in one buffer.

Source: kernel/printk/printk.c (`struct printk_log`, called `log` before 3.11 and in RHEL 7; `log_store`,
`log_next`, `msg_print_text`). A record of length 0 means that the next one is at the beginning. `caller_id`
came with 5.1 and makes the header longer. Behind the text stands a dictionary (SUBSYSTEM=, DEVICE=), which is
not shown.
"""

from __future__ import annotations

import struct

from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.collectors.printk.record import PrintkRecord, RecordReading
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable

MAX_BUFFER = 1 << 31
MAX_RECORDS = 1 << 20
_CONT, _NEWLINE, _PREFIX = 8, 2, 4
_WINDOW = 1 << 16


def read_structured(memory: Memory, info: VmcoreInfo) -> RecordReading:
    """Every record from log_first_idx to log_next_idx, oldest first.

    Raises DamagedDump where the variables make no sense, MemoryUnavailable where they were left out.
    """
    symbols = info.symbols
    name = "printk_log" if "printk_log" in info.sizes else "log"
    header = info.sizes.get(name, 16)
    time_at = info.offsets.get(f"{name}.ts_nsec", 0)
    length_at = info.offsets.get(f"{name}.len", 8)
    text_at = info.offsets.get(f"{name}.text_len", 10)
    dict_at = info.offsets.get(f"{name}.dict_len", 12)
    offsets = (time_at, length_at, text_at, dict_at)
    if not 16 <= header <= 64 or min(offsets) < 0 or max(time_at + 8, length_at + 2, text_at + 2, dict_at + 4) > header:
        raise DamagedDump(f"VMCOREINFO: a log record's header of {header} bytes makes no sense")
    buffer = memory.read_u64(symbols["log_buf"])
    size = memory.read_u32(symbols["log_buf_len"])
    index = first = memory.read_u32(symbols["log_first_idx"])
    end = memory.read_u32(symbols["log_next_idx"])
    if not header <= size <= MAX_BUFFER or first >= size or end > size:
        raise DamagedDump(f"0x{buffer:x}: a log of {size} bytes from {first} to {end} makes no sense")
    reading = RecordReading([])
    window = _Window(memory, buffer, size)
    wrapped = False
    previous_open = False
    for seq in range(MAX_RECORDS):
        if index == end:
            break
        if index + header > size:
            reading.lose(f"the record at {index} of the buffer is damaged, the rest is not used", 0)
            break
        try:
            head = window.read(index, header)
            (length,) = struct.unpack_from("<H", head, length_at)
            if length == 0:
                # What follows is at the beginning; twice would be a loop.
                if wrapped or index < end:
                    reading.lose("a record of length 0 where none may be, the rest is not used", 0)
                    break
                wrapped, index = True, 0
                continue
            (text_length,) = struct.unpack_from("<H", head, text_at)
            if length < header + text_length or index + length > size:
                reading.lose(f"the record at {index} of the buffer is damaged, the rest is not used", 0)
                break
            text = window.read(index + header, text_length)
        except MemoryUnavailable as error:
            reading.lose(f"the log is not all in this dump, from {index} on ({error})", 0)
            break
        (time,) = struct.unpack_from("<Q", head, time_at)
        facility, flags = head[dict_at + 2], head[dict_at + 3]
        caller = struct.unpack_from("<I", head, 16)[0] if header >= 20 and time_at == 0 else None
        continues = bool(flags & _CONT) and not flags & _PREFIX and previous_open
        reading.records.append(PrintkRecord(seq, time, flags >> 5, facility, caller, text, continues))
        previous_open = not flags & _NEWLINE and bool(text)
        index += length
    return reading


class _Window:
    """The buffer, read in pieces of 64 KiB at most."""

    def __init__(self, memory: Memory, base: int, size: int) -> None:
        self._memory = memory
        self._base = base
        self._size = size
        self._start = self._end = 0
        self._bytes = b""

    def read(self, at: int, length: int) -> bytes:
        """Bytes of the buffer; short at its end is padded with zeros. Raises MemoryUnavailable."""
        if not (self._start <= at and at + length <= self._end):
            want = min(max(_WINDOW, length), self._size - at)
            for size in (want, min(want, max(length, 4096 - (self._base + at & 4095))), min(length, want)):
                try:
                    self._bytes = self._memory.read(self._base + at, size)
                except MemoryUnavailable:
                    if size <= length:
                        raise
                    continue
                self._start, self._end = at, at + size
                break
        return self._bytes[at - self._start : at - self._start + length].ljust(length, b"\0")
