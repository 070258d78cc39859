"""The lockless printk ring buffer of Linux 5.10 and later.

Source: kernel/printk/printk_ringbuffer.[ch]. A descriptor's state is in the top two bits of its state
variable, its id in the others; text blocks begin with the id of their descriptor; a block that would wrap
starts at the beginning of the data ring instead; odd positions mean "no data" (0x1 lost, 0x3 an empty line).
Only what lies between the oldest and the newest record is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo
from kbmatch.collectors.printk.record import PrintkRecord, RecordReading
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable
from kbmatch.engine.values import dataclass

_ID_MASK = (1 << 62) - 1
_COMMITTED, _FINALIZED, _REUSABLE = 1, 2, 3
_EMPTY_LINE = 0x3
_CONT, _NEWLINE = 8, 2
_MAX_COUNT_BITS, _MAX_SIZE_BITS = 26, 31
# Records read together: 4096 infos are 352 KiB.
_BATCH = 4096
_TEXT_WINDOW = 1 << 16
# A log of 64 MiB; more would only be a lie of the ring's fields.
MAX_RECORDS = 1 << 20


@dataclass(frozen=True, slots=True)
class _Ring:
    count: int
    descs: int
    infos: int
    head: int
    tail: int
    size: int
    data: int
    newest: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes and offsets; the defaults are those of 5.10 to 6.18 on 64-bit kernels."""

    desc: int
    desc_state: int
    desc_begin: int
    desc_next: int
    info: int
    info_seq: int
    info_time: int
    info_length: int
    info_caller: int


def read_ringbuffer(memory: Memory, info: VmcoreInfo, pointer: int) -> RecordReading:
    """Every record of the ring buffer to which the variable `prb` at `pointer` points, oldest first.

    Raises DamagedDump where the ring's own fields make no sense, MemoryUnavailable where they were left out.
    """
    layout = _layout(info)
    ring = _ring(memory, info, memory.read_u64(pointer))
    reading = RecordReading([])
    window = _TextWindow(memory, ring)
    first, count = ring.tail, (ring.head - ring.tail & _ID_MASK) + 1
    if count > ring.count:
        # Torn head or tail: every descriptor that holds a record says so itself.
        reading.lose("the ring's oldest and newest ids disagree, all descriptors were searched", 0)
        first, count = ring.head - ring.count + 1 & _ID_MASK, ring.count
    if count > MAX_RECORDS:
        reading.lose("older than the newest million", count - MAX_RECORDS)
        first, count = first + count - MAX_RECORDS & _ID_MASK, MAX_RECORDS
    for identity, state, begin, following, raw in _descriptors(memory, ring, layout, first, count, reading):
        which = state >> 62
        if state & _ID_MASK != identity or which not in (_COMMITTED, _FINALIZED):
            if which != _REUSABLE and state & _ID_MASK == identity:
                reading.lose("half written")
            continue
        if raw is None:
            reading.lose("not in this dump")
            continue
        (seq,) = struct.unpack_from("<Q", raw, layout.info_seq)
        (time,) = struct.unpack_from("<Q", raw, layout.info_time)
        length, facility, flags = struct.unpack_from("<HBB", raw, layout.info_length)
        (caller,) = struct.unpack_from("<I", raw, layout.info_caller)
        try:
            text = window.text(identity, begin, following, length)
        except MemoryUnavailable:
            text = None
            reading.lose("not in this dump")
        else:
            if text is None:
                reading.lose("overwritten")
        if text is not None:
            reading.records.append(PrintkRecord(seq, time, flags >> 5, facility, caller, text))
    return reading


def _layout(info: VmcoreInfo) -> _Layout:
    offsets, sizes = info.offsets, info.sizes
    block = offsets.get("prb_desc.text_blk_lpos", 8)
    layout = _Layout(
        desc=sizes.get("prb_desc", 24),
        desc_state=offsets.get("prb_desc.state_var", 0),
        desc_begin=block + offsets.get("prb_data_blk_lpos.begin", 0),
        desc_next=block + offsets.get("prb_data_blk_lpos.next", 8),
        info=sizes.get("printk_info", 88),
        info_seq=offsets.get("printk_info.seq", 0),
        info_time=offsets.get("printk_info.ts_nsec", 8),
        info_length=offsets.get("printk_info.text_len", 16),
        info_caller=offsets.get("printk_info.caller_id", 20),
    )
    fits = (
        16 <= layout.desc <= 256
        and 0 <= max(layout.desc_state, layout.desc_begin, layout.desc_next) <= layout.desc - 8
        and 24 <= layout.info <= 1024
        and 0
        <= max(layout.info_seq, layout.info_time, layout.info_length + 4, layout.info_caller + 4)
        <= layout.info - 8
        and min(layout.desc_state, layout.desc_begin, layout.desc_next) >= 0
        and min(layout.info_seq, layout.info_time, layout.info_length, layout.info_caller) >= 0
    )
    if not fits:
        raise DamagedDump("VMCOREINFO: the sizes of the printk ring buffer make no sense")
    return layout


def _ring(memory: Memory, info: VmcoreInfo, address: int) -> _Ring:
    offsets = info.offsets
    desc_ring = address + offsets.get("printk_ringbuffer.desc_ring", 0)
    text_ring = address + offsets.get("printk_ringbuffer.text_data_ring", 48)
    count_bits = memory.read_u32(desc_ring + offsets.get("prb_desc_ring.count_bits", 0))
    size_bits = memory.read_u32(text_ring + offsets.get("prb_data_ring.size_bits", 0))
    if not (0 < count_bits <= _MAX_COUNT_BITS and 0 < size_bits <= _MAX_SIZE_BITS):
        raise DamagedDump(
            f"0x{address:x}: a printk ring buffer of 2^{count_bits} records and 2^{size_bits} bytes makes no sense"
        )
    return _Ring(
        count=1 << count_bits,
        descs=memory.read_u64(desc_ring + offsets.get("prb_desc_ring.descs", 8)),
        infos=memory.read_u64(desc_ring + offsets.get("prb_desc_ring.infos", 16)),
        head=memory.read_u64(desc_ring + offsets.get("prb_desc_ring.head_id", 24)) & _ID_MASK,
        tail=memory.read_u64(desc_ring + offsets.get("prb_desc_ring.tail_id", 32)) & _ID_MASK,
        size=1 << size_bits,
        data=memory.read_u64(text_ring + offsets.get("prb_data_ring.data", 8)),
        newest=memory.read_u64(text_ring + offsets.get("prb_data_ring.head_lpos", 16)),
    )


def _descriptors(
    memory: Memory, ring: _Ring, layout: _Layout, first: int, count: int, reading: RecordReading
) -> Iterator[tuple[int, int, int, int, bytes | None]]:
    """(id, state variable, begin, next, bytes of printk_info or None) for `count` ids from `first` on."""
    done = 0
    while done < count:
        index = (first + done) % ring.count
        batch = min(_BATCH, count - done, ring.count - index)
        descs = _elements(memory, ring.descs, layout.desc, index, batch)
        infos = _elements(memory, ring.infos, layout.info, index, batch)
        for n in range(batch):
            desc = descs[n]
            if desc is None:
                reading.lose("not in this dump")
                continue
            (state,) = struct.unpack_from("<Q", desc, layout.desc_state)
            (begin,) = struct.unpack_from("<Q", desc, layout.desc_begin)
            (following,) = struct.unpack_from("<Q", desc, layout.desc_next)
            yield first + done + n & _ID_MASK, state, begin, following, infos[n]
        done += batch


def _elements(memory: Memory, base: int, size: int, index: int, count: int) -> list[bytes | None]:
    """`count` elements of an array, None for those that were left out."""
    start = base + index * size
    try:
        data = memory.read(start, count * size)
    except MemoryUnavailable:
        if count == 1 or start >> 12 == start + count * size - 1 >> 12:
            return [None] * count  # all in one page
        half = count // 2
        return [
            *_elements(memory, base, size, index, half),
            *_elements(memory, base, size, index + half, count - half),
        ]
    return [data[n * size : (n + 1) * size] for n in range(count)]


class _TextWindow:
    """Text blocks, read in pieces of 64 KiB: consecutive records lie side by side."""

    def __init__(self, memory: Memory, ring: _Ring) -> None:
        self._memory = memory
        self._ring = ring
        self._start = self._end = 0
        self._bytes = b""
        self._first_end = ring.newest % ring.size

    def text(self, identity: int, begin: int, following: int, length: int) -> bytes | None:
        """The text of a record, None where its block was overwritten. Raises MemoryUnavailable."""
        if begin & 1 or following & 1:
            return b"" if begin == _EMPTY_LINE and following == _EMPTY_LINE else None
        size = self._ring.size
        wraps_begin, wraps_next = begin // size, following // size
        if wraps_begin == wraps_next and begin < following:
            at, room = begin % size, following - begin
        elif wraps_next == wraps_begin + 1 & (1 << 64) // size - 1:  # positions start at -size and run over
            # A block that ends exactly with the ring was not wrapped; else it begins anew at 0.
            at, room = (0, following % size) if following % size else (begin % size, size - begin % size)
        else:
            return None
        if room < 8:
            return None
        block = self._read(at, 8 + min(length, room - 8))
        if int.from_bytes(block[:8], "little") != identity:
            return None
        return block[8:]

    def _read(self, at: int, length: int) -> bytes:
        if not (self._start <= at and at + length <= self._end):
            self._fill(at, length)
        return self._bytes[at - self._start : at - self._start + length]

    def _fill(self, at: int, length: int) -> None:
        # Not behind the newest block: from there on lie the oldest ones, or nothing.
        end = self._first_end if at < self._first_end else self._ring.size
        want = max(min(_TEXT_WINDOW, end - at), length)
        base = self._ring.data + at
        # A page less at a time: the next one may be missing without harm to this record.
        for size in (want, min(want, max(length, 4096 - (base & 4095))), length):
            try:
                self._bytes = self._memory.read(base, size)
            except MemoryUnavailable:
                if size == length:
                    raise
                continue
            self._start, self._end = at, at + size
            return
