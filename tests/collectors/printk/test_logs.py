"""The kernel log in all its formats: wrapped, torn, with decoys, odd bytes and continuation lines."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumps.guest import COMMITTED, RESERVED, VARIABLES, Guest, Record, build_guest
from dumps.vmcore_builder import write_elf
from kbmatch.collectors.dump import Dump, open_dump
from kbmatch.collectors.printk.record import PrintkRecord, format_records

FORMATS = ["lockless", "structured", "structured-caller", "bytes"]


def dump_of(tmp_path: Path, guest: Guest) -> Dump:
    return open_dump(write_elf(guest, tmp_path / "vmcore"))


@pytest.mark.parametrize("log", FORMATS)
def test_every_format_gives_the_same_text(tmp_path: Path, log: str) -> None:
    records = [Record(b"message %d" % n, time_ns=n * 1_000_001_000, level=n % 8) for n in range(20)]
    with dump_of(tmp_path, build_guest(records, log=log)) as dump:
        assert dump.log_text() == b"".join(b"[%5d.%06d] message %d\n" % (n, n, n) for n in range(20))
        assert [r.level for r in dump.read_log().records] == [n % 8 for n in range(20)]
        assert not dump.notes


@pytest.mark.parametrize("log", FORMATS)
@pytest.mark.parametrize("total", [100, 101, 117, 300])
def test_a_log_that_wrapped_gives_the_newest_records_in_order(tmp_path: Path, log: str, total: int) -> None:
    records = [Record(b"m" * (n * 7 % 90) + b" number %d" % n, time_ns=n) for n in range(total)]
    with dump_of(tmp_path, build_guest(records, log=log)) as dump:
        lines = dump.log_text().splitlines()
        numbers = [int(line.rsplit(b" ", 1)[1]) for line in lines]
        assert len(numbers) > 20
        assert numbers == list(range(numbers[0], total))
        assert not dump.notes


def test_block_that_ends_exactly_with_the_ring(tmp_path: Path) -> None:
    """64 blocks of 64 bytes fill the ring of 4096 bytes; the next one starts a new round at 0."""
    records = [Record(b"%-56d" % n, time_ns=n) for n in range(70)]
    with dump_of(tmp_path, build_guest(records, count_bits=8)) as dump:
        found = [int(r.text) for r in dump.read_log().records]
        assert found == list(range(found[0], 70))
        assert len(found) >= 63


@pytest.mark.parametrize("state", [RESERVED, COMMITTED])
def test_newest_record_half_written(tmp_path: Path, state: int) -> None:
    records = [Record(b"whole"), Record(b"perhaps", state=state)]
    with dump_of(tmp_path, build_guest(records)) as dump:
        text = dump.log_text()
        assert (b"perhaps" in text) == (state == COMMITTED)
        assert any("half written" in n.text for n in dump.notes) == (state == RESERVED)


@pytest.mark.parametrize("log", ["lockless", "structured"])
def test_what_processes_wrote_cannot_fake_an_oops(tmp_path: Path, log: str) -> None:
    decoy = b"BUG: kernel NULL pointer dereference, address: 0000000000000000"
    records = [Record(b"real"), Record(decoy, facility=1), Record(decoy, facility=3), Record(b"end")]
    with dump_of(tmp_path, build_guest(records, log=log)) as dump:
        assert b"BUG" not in dump.log_text()
        assert dump.log_text().count(b"\n") == 2
        assert [n.text for n in dump.notes] == ["2 log records left out: written by processes to /dev/kmsg"]


def test_newlines_and_odd_bytes_in_a_record(tmp_path: Path) -> None:
    with dump_of(tmp_path, build_guest([Record(b"one\ntwo \xff\x00\xe9", time_ns=5_000_000)])) as dump:
        assert dump.log_text() == b"[    0.005000] one\n[    0.005000] two \xff\x00\xe9\n"


def test_record_without_text_is_an_empty_line(tmp_path: Path) -> None:
    with dump_of(tmp_path, build_guest([Record(b"a"), Record(b""), Record(b"b")])) as dump:
        assert [r.text for r in dump.read_log().records] == [b"a", b"", b"b"]


def test_continuation_lines_of_old_kernels_are_joined(tmp_path: Path) -> None:
    records = [
        Record(b"Modules linked in:", flags=0),
        Record(b" ext4", flags=8),
        Record(b" xen_netfront", flags=8 | 2),
        Record(b"next", flags=2),
    ]
    with dump_of(tmp_path, build_guest(records, log="structured")) as dump:
        assert dump.log_text().splitlines() == [
            b"[    0.000000] Modules linked in: ext4 xen_netfront",
            b"[    0.000000] next",
        ]


def test_dictionaries_are_no_text(tmp_path: Path) -> None:
    records = [Record(b"eth0: up", dictionary=b"SUBSYSTEM=net\0DEVICE=n2"), Record(b"next")]
    with dump_of(tmp_path, build_guest(records, log="structured")) as dump:
        assert [r.text for r in dump.read_log().records] == [b"eth0: up", b"next"]


def test_caller_ids(tmp_path: Path) -> None:
    records = [Record(b"task", caller=42), Record(b"cpu", caller=0x80000003)]
    for log in ("lockless", "structured-caller"):
        with dump_of(tmp_path, build_guest(records, log=log)) as dump:
            assert [r.caller for r in dump.read_log().records] == [42, 0x80000003]


def test_pages_missing_from_the_middle_of_the_log(tmp_path: Path) -> None:
    records = [Record(b"x" * 80 + b" %d" % n, time_ns=n) for n in range(60)]
    guest = build_guest(records, count_bits=8, size_bits=13)
    pfn = next(p for p, page in guest.pages.items() if b" 30" in page)
    del guest.pages[pfn]
    with dump_of(tmp_path, guest) as dump:
        numbers = [int(r.text.split()[1]) for r in dump.read_log().records]
        assert 0 < len(numbers) < 60
        assert numbers == sorted(numbers)
        assert any("not in this dump" in n.text and "lost" in n.text for n in dump.notes)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(64, 0), (64, 99), (64 + 24, 5), (64 + 32, 1 << 40), (64 + 48, 60), (64 + 8, 0), (64 + 56, 0xFFFF800000000000)],
)
def test_lying_ring_fields_never_hang_or_raise(tmp_path: Path, offset: int, value: int) -> None:
    guest = build_guest([Record(b"line %d" % n) for n in range(10)])
    size = 4 if offset in (64, 64 + 48) else 8
    guest.put(guest.text + VARIABLES + offset, value.to_bytes(size, "little"))
    with dump_of(tmp_path, guest) as dump:
        dump.log_text()
        assert dump.notes


def test_torn_ids_still_give_the_records(tmp_path: Path) -> None:
    guest = build_guest([Record(b"line %d" % n) for n in range(10)])
    tail = guest.text + VARIABLES + 64 + 32
    guest.put(tail, struct.pack("<Q", 7))
    with dump_of(tmp_path, guest) as dump:
        assert [r.text for r in dump.read_log().records] == [b"line %d" % n for n in range(10)]
        assert any("disagree" in n.text for n in dump.notes)


@pytest.mark.parametrize("first", [0, 4000, 5000, 1 << 31])
def test_lying_indexes_of_the_structured_log(tmp_path: Path, first: int) -> None:
    guest = build_guest([Record(b"line %d" % n) for n in range(10)], log="structured")
    guest.put(guest.text + VARIABLES + 12, struct.pack("<I", first))
    with dump_of(tmp_path, guest) as dump:
        dump.log_text()


@given(st.lists(st.binary(max_size=60), max_size=60), st.sampled_from(FORMATS[:3]))
@settings(max_examples=60, deadline=None)
def test_any_texts_survive(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], log: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    with dump_of(folder, build_guest([Record(t) for t in texts], log=log)) as dump:
        found = [r.text for r in dump.read_log().records]
        assert found == texts[len(texts) - len(found) :]
        assert len(found) == len(texts) or len(texts) > 20
        assert all(n.level == "info" for n in dump.notes)


def test_format_of_times_beyond_five_digits() -> None:
    record = PrintkRecord(0, 3581719_424780_123, 4, 0, None, b"text")
    assert format_records([record]) == b"[3581719.424780] text\n"
