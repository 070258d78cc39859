"""Damaged, shuffled and hostile texts: nothing raises, time stays linear, memory bounded."""

from __future__ import annotations

import io
import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import arch_logs, sample_crash
from kbmatch.collectors.logs.console import read_log, scan_stream
from kbmatch.collectors.logs.triggers import TRIGGERS, positions, positions_by_find, regions

SOURCES = [make().encode() for make in sample_crash.FORMATS.values()] + [
    getattr(arch_logs, name).encode() for name in dir(arch_logs) if name.isupper()
]
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@RELAXED
@given(st.sampled_from(SOURCES), st.data())
def test_cut_and_overwritten_logs_never_raise(log: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(log)))
    piece = bytearray(log[start : start + data.draw(st.integers(0, len(log)))])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), max_size=20)):
        if piece:
            piece[at % len(piece)] = value
    read_log(bytes(piece))


@RELAXED
@given(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_shuffled_and_interleaved_logs_never_raise(logs: list[bytes], order: random.Random) -> None:
    lines = [line for log in logs for line in log.split(b"\n")]
    order.shuffle(lines)
    read_log(b"\n".join(lines))


@RELAXED
@given(st.binary(max_size=4000))
def test_any_bytes_never_raise(data: bytes) -> None:
    read_log(data)


@pytest.mark.parametrize(
    "piece",
    [
        b"[    1.000000] BUG: KASAN: use-after-free in a+0x1/0x2\n",
        b"[    1.000000] WARNING: CPU: 1 PID: 1 at a.c:1 f+0x1/0x2\n",
        b"[    1.000000] INFO: task a:1 blocked for more than 120 seconds.\n",
        b"> > > > > > > > | | | | >>>>>>>> ",
        b"[    1.000000][    1.000000]",
        b"<<<<<<<<<<(((((((([[[[[[[[",
        b"f (a.c:1 (discriminator 1) b.c:2 ",
        b"RIP: 0010:" + b"a" * 50,
        b"CPU: 1 PID: 1 Comm: " + b" " * 40,
        b"Tainted: " + b"A " * 30,
        b'{"MESSAGE":"BUG: ',
        b"1,1,1,-,ncfrag=0/1;x\n",
        b"Oops: general protection fault, maybe for address 0x",
        b"Panic#1 Part1\n",
        b"Linux version 5.4.0 (",
        b"&lt;",
        b"a+0x1/0x2 [m] ",
    ],
)
def test_time_grows_linearly(piece: bytes) -> None:
    def seconds(size: int) -> float:
        data = piece * (size // len(piece))
        start = time.perf_counter()
        read_log(data)
        return time.perf_counter() - start

    seconds(20_000)
    small = min(seconds(60_000) for _ in range(2))
    large = seconds(480_000)
    assert large < max(small, 0.02) * 8 * 3


def test_an_archive_streams_and_reads_as_the_whole() -> None:
    quiet = b"".join(b"[%5d.000000] usb 1-1: new high-speed USB device number %d\n" % (i, i) for i in range(1000))
    crash = sample_crash.dmesg().encode()
    archive = quiet * 120 + crash + quiet * 120
    whole, streamed = read_log(archive), scan_stream(io.BytesIO(archive))
    assert len(archive) > 8 << 20
    assert whole == streamed
    (event,) = streamed.events
    assert event.line == 120_000 + 5
    assert event.symbol == "lab_queue_push"
    assert streamed.kernel.release == "5.15.0-999-lab"


def test_a_stream_of_endless_crashes_is_bounded() -> None:
    class Endless(io.RawIOBase):
        left = 5 << 20
        second = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            if self.left <= 0:
                return b""
            lines = []
            for _ in range(200):
                self.second += 1
                lines.append(b"[%5d.000000] BUG: KASAN: use-after-free in lab+0x1/0x2\n" % self.second)
                lines.append(b"[%5d.000001] CPU: 1 PID: 1 Comm: a Not tainted 5.4.0 #1\n" % self.second)
            piece = b"".join(lines)
            self.left -= len(piece)
            return piece

    reading = scan_stream(Endless())  # type: ignore[arg-type]
    assert len(reading.events) <= 1000
    assert any("more crash reports" in note.text for note in reading.notes)


@given(st.lists(st.one_of(st.sampled_from(TRIGGERS), st.binary(max_size=30)), max_size=30))
def test_triggers_are_found_alike_with_and_without_the_automaton(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert set(positions(data)) <= set(positions_by_find(data))
    assert bool(positions(data)) == bool(positions_by_find(data))


def test_regions_are_whole_lines_around_triggers() -> None:
    filler = b"x" * 99 + b"\n"
    data = filler * 3000 + b"BUG: a\n" + filler * 3000
    ((start, end),) = regions(data)
    assert data[start - 1 : start] == b"\n" == data[end - 1 : end]
    assert start < 300_000 < end < len(data)


def test_no_log_of_the_corpus_raises_or_is_lost(shared: Path) -> None:
    for path in sorted((shared / "corpus").glob("*/*.log")):
        data = path.read_bytes()
        reading = read_log(data)
        for event in reading.events:
            assert event.line is not None
            assert 1 <= event.line <= data.count(b"\n") + 1
        order = random.Random(path.name)
        lines = data.split(b"\n")
        order.shuffle(lines)
        read_log(b"\n".join(lines))
        read_log(data[: len(data) // 2])
