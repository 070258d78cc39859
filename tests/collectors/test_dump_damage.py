"""Damaged and hostile dumps: cut anywhere, bits flipped, bytes replaced. Only KbmatchError may come out, soon."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumps.guest import Record, build_guest
from dumps.symbols import add_kallsyms
from dumps.vmcore_builder import elf_bytes, flatten, kdump_bytes, xen_bytes
from kbmatch.collectors.containers.lzo import LzoError
from kbmatch.collectors.containers.lzo import decompress as lzo
from kbmatch.collectors.containers.snappy import SnappyError
from kbmatch.collectors.containers.snappy import decompress as snappy
from kbmatch.collectors.dump import open_dump
from kbmatch.collectors.outside import outside_event
from kbmatch.engine.errors import KbmatchError


def small(**options: object) -> bytes:
    guest = build_guest([Record(b"line %d" % n, time_ns=n) for n in range(30)], **options)  # type: ignore[arg-type]
    add_kallsyms(guest, ["alpha", "beta"])
    return elf_bytes(guest, qemu=True)


def _dumps() -> dict[str, bytes]:
    records = [Record(b"line %d" % n, time_ns=n) for n in range(30)]
    guest = build_guest(records)
    add_kallsyms(guest, ["alpha", "beta"])
    pv = build_guest(records, kaslr=0, phys_base=0, small_pages=True)
    return {
        "elf": elf_bytes(guest, qemu=True),
        "elf without note": elf_bytes(guest, qemu=True, vmcoreinfo=False),
        "structured log": small(log="structured-caller"),
        "byte log": small(log="bytes"),
        "kdump": kdump_bytes(guest),
        "flattened": flatten(kdump_bytes(guest)),
        "xen": xen_bytes(guest),
        "xen pv": xen_bytes(pv, kind="pv"),
        "gzip": gzip.compress(kdump_bytes(guest)),
    }


DUMPS = _dumps()
MEMORY_LIMIT = 64 << 20
TIME_LIMIT = 5.0


def read_all(path: Path) -> None:
    """Everything that a caller may ask of a dump."""
    started = time.monotonic()
    tracemalloc.start()
    try:
        with open_dump(path, max_unpacked=1 << 28) as dump:
            text = dump.log_text()
            assert isinstance(text, bytes)
            assert all(note.text for note in dump.notes)
            outside_event(dump)
    except KbmatchError as raised:
        error: KbmatchError | None = raised
    else:
        error = None
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert error is None or str(error)
    assert peak < MEMORY_LIMIT
    assert time.monotonic() - started < TIME_LIMIT


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "vmcore"


@pytest.mark.parametrize("kind", DUMPS)
def test_undamaged_dumps_are_read(target: Path, kind: str) -> None:
    target.write_bytes(DUMPS[kind])
    with open_dump(target) as dump:
        assert dump.log_text().count(b"\n") == 30


@given(kind=st.sampled_from(sorted(DUMPS)), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_cut_anywhere(target: Path, kind: str, share: float) -> None:
    data = DUMPS[kind]
    target.write_bytes(data[: int(len(data) * share)])
    read_all(target)


# Headers are where lies hurt: half of the changes go there.
POSITIONS = st.one_of(st.integers(0, 600), st.integers(4096, 8600), st.integers(0, 1 << 17))


@given(
    kind=st.sampled_from(sorted(DUMPS)),
    changes=st.lists(st.tuples(POSITIONS, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, None])), min_size=1, max_size=12),
)
@settings(max_examples=120, deadline=None)
def test_flipped_bytes(target: Path, kind: str, changes: list[tuple[int, int | None]]) -> None:
    data = bytearray(DUMPS[kind])
    for position, value in changes:
        at = position % len(data)
        data[at] = data[at] ^ 0x55 if value is None else value
    target.write_bytes(bytes(data))
    read_all(target)


@given(
    kind=st.sampled_from(sorted(DUMPS)),
    position=POSITIONS,
    value=st.sampled_from([0, 1, 0xFF, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]),
)
@settings(max_examples=100, deadline=None)
def test_lying_numbers(target: Path, kind: str, position: int, value: int) -> None:
    data = bytearray(DUMPS[kind])
    at = position % len(data) & ~7
    data[at : at + 8] = value.to_bytes(8, "little")
    target.write_bytes(bytes(data))
    read_all(target)


@given(st.binary(max_size=300), st.integers(0, 5000))
@settings(max_examples=300, deadline=None)
def test_decoders_only_raise_their_own_error(data: bytes, limit: int) -> None:
    for decode, error in ((lzo, LzoError), (snappy, SnappyError)):
        try:
            assert len(decode(data, limit)) <= limit
        except error:
            continue


@given(st.binary(min_size=18, max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_vmcoreinfo(target: Path, noise: bytes) -> None:
    """A VMCOREINFO whose numbers were exchanged for others."""
    guest = build_guest([Record(b"x")])
    lines = guest.vmcoreinfo.split(b"\n")
    for at, byte in enumerate(noise):
        line = lines[(at * 7 + byte) % len(lines)]
        key, _, _ = line.partition(b"=")
        lines[(at * 7 + byte) % len(lines)] = key + b"=" + [b"0", b"-1", b"ffffffffffffffff", b"88", b""][byte % 5]
    guest.vmcoreinfo = b"\n".join(lines)
    target.write_bytes(elf_bytes(guest))
    read_all(target)
