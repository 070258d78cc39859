"""Lookups that avoid reading everything agree with naive ones that do."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumps.guest import PAGE
from kbmatch.collectors.containers.bitmap import PageBitmap
from kbmatch.collectors.containers.flattened import FlattenedSource
from kbmatch.collectors.containers.frame_index import FrameIndex
from kbmatch.collectors.containers.lzo import decompress as lzo
from kbmatch.collectors.containers.page_codecs import decompress_page
from kbmatch.collectors.containers.physical_map import PhysicalMap
from kbmatch.collectors.containers.snappy import decompress as snappy
from kbmatch.collectors.containers.source import BytesSource, FileSource, WindowSource
from kbmatch.engine.errors import KbmatchError, NotInDump


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=8), st.integers(0, 90), st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_physical_map_with_overlaps(runs: list[tuple[int, int]], address: int, length: int) -> None:
    """Overlapping LOADs show the same memory: byte p of it holds p, wherever it is read from."""
    image = b"".join(bytes(range(start, start + size)) for start, size in runs)
    offsets = [sum(size for _, size in runs[:n]) for n in range(len(runs))]
    table = PhysicalMap((start, size, at) for (start, size), at in zip(runs, offsets, strict=True))
    there = {p for start, size in runs for p in range(start, start + size)}
    wanted = range(address, address + length)
    if all(p in there for p in wanted):
        assert b"".join(image[o : o + n] for o, n in table.pieces(address, length)) == bytes(wanted)
    else:
        with pytest.raises(NotInDump):
            list(table.pieces(address, length))
    found = [p for low, high in table.ranges(address, address + length) for p in range(low, high)]
    assert found == sorted(there.intersection(wanted))


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 60)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_flattened_pieces_as_if_written_in_order(pieces: list[tuple[int, int]]) -> None:
    stream = (b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)).ljust(PAGE, b"\0")
    file = bytearray()
    for number, (offset, size) in enumerate(pieces):
        data = bytes([number + 1]) * size
        stream += struct.pack(">qq", offset, size) + data
        file.extend(bytes(max(0, offset + size - len(file))))
        file[offset : offset + size] = data
    source = FlattenedSource(BytesSource(stream + struct.pack(">qq", -1, -1)))
    assert source.size == len(file)
    assert source.read(0, 1000) == bytes(file)
    for at in range(0, len(file), 7):
        assert source.read(at, 20) == bytes(file[at : at + 20])
    written = {p for low, high in source.data_extents() for p in range(low, high)}
    assert written == {p for offset, size in pieces for p in range(offset, offset + size)}


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2500), st.integers(0, 2500))
@settings(max_examples=200, deadline=None)
def test_bitmap_rank_and_runs(data: bytes, first: int, last: int) -> None:
    bits = [data[n >> 3] >> (n & 7) & 1 for n in range(8 * len(data))]
    bitmap = PageBitmap(BytesSource(b"head" + data), 4, len(data))
    assert [bitmap.rank(n) for n in range(0, len(bits) + 20, 5)] == [sum(bits[:n]) for n in range(0, len(bits) + 20, 5)]
    assert [bitmap.is_set(n) for n in range(len(bits) + 3)] == [bool(b) for b in bits] + [False] * 3
    found = [n for low, high in bitmap.runs(first, last) for n in range(low, high)]
    assert found == [n for n in range(min(first, len(bits)), min(last, len(bits))) if bits[n]]


def test_bitmap_with_holes_is_not_read_there(tmp_path: Path) -> None:
    path = tmp_path / "bitmap"
    with path.open("wb") as file:
        file.write(b"\xff" * 4096)
        file.seek(64 << 20)
        file.write(b"\x01" * 4096)
    source = FileSource(path)
    bitmap = PageBitmap(source, 0, source.size)
    assert bitmap.rank(8 * source.size) == 9 * 4096
    assert list(bitmap.runs(0, 600 << 20))[:2] == [(0, 8 * 4096), (512 << 20, (512 << 20) + 1)]
    assert source.bytes_read < 1 << 20
    source.close()


ENTRIES = st.lists(
    st.one_of(st.tuples(st.integers(0, 40), st.integers(1, 30)), st.just(((1 << 64) - 1, 1))), min_size=1, max_size=6
)


@given(ENTRIES, st.sampled_from([8, 16]))
@settings(max_examples=200, deadline=None)
def test_frame_index_with_gaps_duplicates_and_disorder(runs: list[tuple[int, int]], width: int) -> None:
    entries = [min(start + n, (1 << 64) - 1) for start, size in runs for n in range(size)]
    data = b"".join(
        struct.pack("<Q" if width == 8 else "<QQ", *((e,) if width == 8 else (e, 1000 + n)))
        for n, e in enumerate(entries)
    )
    index = FrameIndex(BytesSource(b"x" * 64 + data), 64, width, len(entries))
    for pfn in range(80):
        position = index.position(pfn)
        if pfn in entries:
            assert position is not None
            assert entries[position] == pfn
        else:
            assert position is None
    found = [p for low, high in index.ranges() for p in range(low, high)]
    assert found == sorted({e for e in entries if e < 1 << 52})
    if width == 16:
        assert [index.pfn_of_machine_frame(1000 + n) for n in range(len(entries))] == entries
    assert index.pfn_of_machine_frame(5) is None


def test_a_list_that_ascends_is_not_read_whole() -> None:
    data = struct.pack("<100000Q", *range(50, 100050))
    source = BytesSource(data)
    index = FrameIndex(source, 0, 8, 100000)
    assert index.position(77777) == 77727
    assert source.bytes_read < 1000


def lzo_vectors() -> list[tuple[bytes, bytes]]:
    """Streams written by hand from the format's description, one for each kind of instruction."""
    end = b"\x11\0\0"
    return [
        (bytes([17 + 4]) + b"abcd" + end, b"abcd"),
        # 3 literals by the state-0 run of 3 + n, then a match of 3 at distance 2049+ is refused elsewhere
        (b"\x01abcd" + end, b"abcd"),
        # long literal run: 18 + 255 + 2
        (b"\0\0\x02" + b"x" * 275 + end, b"x" * 275),
        # M2: length 3 + bit, distance 4 -> 64 | (3 << 2), high 0
        (bytes([17 + 4]) + b"abcd" + bytes([0x40 | 3 << 2, 0]) + end, b"abcdabc"),
        # M2 of length 8 (0xe0 -> 5 + 3), overlapping at distance 1
        (bytes([17 + 4]) + b"abcd" + bytes([0xE0, 0]) + end, b"abcd" + b"d" * 8),
        # M3: 32 + length - 2, distance 4 -> (4 - 1) << 2, with two literals behind it
        (bytes([17 + 4]) + b"abcd" + bytes([32 + 8, 3 << 2 | 2, 0]) + b"yz" + end, b"abcdabcdabcdab" + b"yz"),
        # M1 after literals of a match: length 2, distance 4 -> (0 << 2) + 3 + 1
        (bytes([17 + 4]) + b"abcd" + bytes([0x40 | 3 << 2 | 1, 0]) + b"Q" + bytes([3 << 2, 0]) + end, b"abcdabcQab"),
    ]


@pytest.mark.parametrize(("packed", "plain"), lzo_vectors())
def test_lzo_instructions(packed: bytes, plain: bytes) -> None:
    assert lzo(packed, 4096) == plain
    for cut in range(len(packed)):
        with pytest.raises(KbmatchError):
            lzo(packed[:cut], 4096)
    with pytest.raises(KbmatchError):
        lzo(packed, len(plain) - 1)


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (b"\x04\x0cabcd", b"abcd"),
        (b"\x0c\x0cabcd" + bytes([1 | 4 << 2, 4]), b"abcdabcdabcd"),
        (b"\x0a\x0cabcd" + bytes([2 | 5 << 2, 1, 0]), b"abcd" + b"d" * 6),
        (b"\x08\x0cabcd" + bytes([3 | 3 << 2, 4, 0, 0, 0]), b"abcdabcd"),
        (b"\x46" + bytes([60 << 2, 69]) + b"z" * 70, b"z" * 70),
    ],
)
def test_snappy_elements(packed: bytes, plain: bytes) -> None:
    assert snappy(packed, 4096) == plain
    for cut in range(len(packed)):
        with pytest.raises(KbmatchError):
            snappy(packed[:cut], 4096)


def test_pages_must_be_whole() -> None:
    import zlib

    assert decompress_page(zlib.compress(bytes(4096)), 1, 4096) == bytes(4096)
    for data, flags in (
        (zlib.compress(bytes(4095)), 1),
        (zlib.compress(bytes(9000)), 1),
        (b"", 0),
        (b"x", 3),
        (b"junk", 0x20),
    ):
        with pytest.raises(KbmatchError):
            decompress_page(data, flags, 4096)


def test_window_of_a_source() -> None:
    window = WindowSource(BytesSource(bytes(range(100))), "member", 10, 20)
    assert (window.size, window.read(5, 100), window.read(30, 1)) == (20, bytes(range(15, 30)), b"")
    assert list(window.data_extents()) == [(0, 20)]


def test_file_that_shrinks_is_a_short_read(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(b"x" * 10000)
    source = FileSource(path)
    os.truncate(path, 5000)
    assert len(source.read(4000, 4000)) == 1000
    source.close()
