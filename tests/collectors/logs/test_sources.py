"""The same crash, written down by every program that writes kernel logs down, reads the same."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from corpus import sample_crash
from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.reading import LogReading


def _stripped(reading: LogReading) -> tuple[object, ...]:
    events = tuple(replace(e, line=None, time=None) for e in reading.events)
    return reading.kernel, replace(reading.machine, hostname=None), events


REFERENCE = read_log(sample_crash.dmesg().encode())


def test_reference_reading() -> None:
    (event,) = REFERENCE.events
    assert (event.kind, event.fatal, event.line, event.time) == ("null-deref", True, 5, 100.004)
    assert (event.cpu, event.pid, event.comm, event.context) == (3, 4242, "worker thread", "task")
    assert (event.symbol, event.offset, event.size, event.module) == ("lab_queue_push", 0x1D, 0x80, "lab_core")
    assert (event.address, event.access) == (0x18, "write")
    assert event.registers["r14"] == 0xDEAD000000000100
    assert event.instruction is not None
    assert event.instruction.text == "mov qword ptr [rax + 0x18], rdx"
    assert event.instruction.explains_address is True
    assert [f.symbol for f in event.trace] == [
        "lab_stale",
        "lab_worker",
        "process_one_work",
        "worker_thread",
        "kthread",
        "ret_from_fork",
    ]
    assert [f.reliable for f in event.trace][:2] == [False, True]
    kernel = REFERENCE.kernel
    assert (kernel.release, kernel.arch) == ("5.15.0-999-lab", "x86_64")
    assert kernel.version == "#7 SMP Tue Jan 5 10:00:00 UTC 2027"
    assert (kernel.taint, kernel.livepatched) == (("P", "W", "O", "E"), False)
    assert kernel.kaslr_offset == 0x1A000000
    assert (REFERENCE.machine.hypervisor, REFERENCE.machine.cpus) == ("vmware", 4)


@pytest.mark.parametrize("name", sample_crash.FORMATS)
def test_every_source_reads_the_same(name: str) -> None:
    text = sample_crash.FORMATS[name]()
    reading = read_log(text.encode())
    assert _stripped(reading) == _stripped(REFERENCE)
    assert reading.looks_like_log


@pytest.mark.parametrize("name", ["syslog", "journal_json", "dmesg_json", "journal_export", "pstore_parts", "kmsg"])
def test_line_is_where_the_head_stands_in_the_input(name: str) -> None:
    text = sample_crash.FORMATS[name]()
    (event,) = read_log(text.encode()).events
    assert event.line is not None
    found = text.split("\n")[event.line - 1]
    assert "BUG: kernel NULL" in found or ("[66, 85, 71" in found)


def test_compressed_pstore_record() -> None:
    text = sample_crash.dmesg().encode()
    for packed in (zlib.compress(text), b"====1800000000.123456-C\n" + zlib.compress(text)):
        assert _stripped(read_log(packed)) == _stripped(REFERENCE)


def test_windows_line_ends_and_utf16() -> None:
    text = sample_crash.dmesg().replace("\n", "\r\n")
    assert _stripped(read_log(text.encode())) == _stripped(REFERENCE)
    assert _stripped(read_log(text.encode("utf-16"))) == _stripped(REFERENCE)


@pytest.mark.parametrize("name", ["syslog", "syslog_iso", "journal_short", "journal_json"])
def test_the_logger_names_the_host(name: str) -> None:
    assert read_log(sample_crash.FORMATS[name]().encode()).machine.hostname == "db-01"
    assert REFERENCE.machine.hostname is None
