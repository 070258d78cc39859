"""How much of a dump `kbmatch core` reads, from start to verdict: log, exception frame, symbols and probes together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbmatch.cli.main import main

FLOOR = 74_000 + 5_000 + 300
"""Of a-napi, by ../shared/dump-facts.md: the log, the notes, headers and page tables."""


@pytest.mark.parametrize(("name", "times"), [("a-napi.trim.elf.vmcore.zst", 3), ("a-napi.trim.zlib.vmcore", 4)])
def test_little_more_than_the_log_is_read_of_a_dump(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: int
) -> None:
    """Of a compressed dump whole pages are read, where of an ELF file bytes are."""
    path = shared / "dumps" / name
    if path.suffix == ".zst":
        import zstandard

        unpacked = tmp_path / path.stem
        with path.open("rb") as source, unpacked.open("wb") as target:
            zstandard.ZstdDecompressor().copy_stream(source, target)
        path = unpacked
    read = []
    true_pread = os.pread
    inode = path.stat().st_ino

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        data = true_pread(descriptor, length, offset)
        if os.fstat(descriptor).st_ino == inode:
            read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", pread)
    assert main(["core", str(path)]) in (0, 1)
    assert FLOOR // 2 < sum(read) < times * FLOOR
