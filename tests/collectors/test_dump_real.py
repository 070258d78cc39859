"""Real vmcores of ../shared/dumps give their ground truth with no option."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kbmatch.collectors.containers.opening import open_container
from kbmatch.collectors.containers.source import FileSource
from kbmatch.collectors.dump import Dump, open_dump

ELF = ["a-bug", "a-gpf", "a-napi", "a-napi-kdump", "a-nullfn", "a-proc", "a-softlockup", "a-stack", "a-sysrq"]
PLAIN = ["a-napi.trim.zlib", "a-napi-kdump.trim.zlib", "a-napi.trim.snappy", "a-napi.trim.zstd"]


@pytest.fixture(scope="session")
def unpacked(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .zst dumps, unpacked once."""
    import zstandard

    folder = tmp_path_factory.mktemp("vmcores")
    for packed in sorted((shared / "dumps").glob("*.zst")):
        with packed.open("rb") as source, (folder / packed.stem).open("wb") as target:
            zstandard.ZstdDecompressor().copy_stream(source, target)
    return folder


def drgn_text(dump: Dump) -> bytes:
    """The log in drgn's format: times on the first line of a record only."""
    return b"".join(
        b"[%5d.%06d] %s\n" % (r.time // 10**9, r.time % 10**9 // 1000, r.text)
        for r in dump.read_log().records
        if r.time is not None
    )


def check(dump: Dump, truth: dict[str, object]) -> None:
    assert dump.kernel.release == truth["kernel_release"]
    assert dump.kernel.kaslr_offset == int(str(truth["kaslr_offset"]), 16)
    assert dump.kernel.phys_base is not None
    assert dump.kernel.phys_base % 2**64 == int(str(truth["phys_base"]), 16)
    assert dump.kernel.arch == "x86_64"
    assert dump.kernel.version is not None
    assert f"Debian {dump.kernel.version.split('Debian ')[1]}" in str(truth["kernel_version_line"])
    assert dump.kernel.build_id == truth["vmcoreinfo"]["BUILD-ID"]  # type: ignore[index]
    assert hashlib.sha256(drgn_text(dump)).hexdigest() == truth["dmesg"]["sha256"]  # type: ignore[index]
    assert not [n for n in dump.notes if n.level != "info"]


def truth_of(shared: Path, run: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((shared / "dumps" / "truth" / f"{run}.json").read_text())
    return loaded


@pytest.mark.parametrize("run", ELF)
def test_elf_vmcore_gives_its_ground_truth(shared: Path, unpacked: Path, run: str) -> None:
    (path,) = unpacked.glob(f"{run}.trim.*")
    with open_dump(path) as dump:
        assert dump.format == "elf-vmcore"
        check(dump, truth_of(shared, run))


@pytest.mark.parametrize("name", PLAIN)
def test_kdump_compressed_gives_its_ground_truth(shared: Path, name: str) -> None:
    with open_dump(shared / "dumps" / f"{name}.vmcore") as dump:
        assert dump.format == "kdump-compressed"
        check(dump, truth_of(shared, name.split(".", maxsplit=1)[0]))


@pytest.mark.parametrize("run", ELF)
def test_log_text_is_what_dmesg_printed(shared: Path, unpacked: Path, run: str) -> None:
    """The saved dmesg has times only on the first line of a record; every line of log_text has one."""
    (path,) = unpacked.glob(f"{run}.trim.*")
    with open_dump(path) as dump:
        lines = dump.log_text().splitlines()
    saved = (shared / "dumps" / "logs" / f"{run}.dmesg.txt").read_bytes().splitlines()
    assert len(lines) == len(saved)
    assert all(
        ours == theirs or ours.endswith(b"] " + theirs) for ours, theirs in zip(lines, saved, strict=True)
    )
    assert all(line.startswith(b"[") for line in lines)


def test_bytes_read_stay_near_the_floor(shared: Path, unpacked: Path) -> None:
    """dump-facts: 74 KB distinct bytes, 5 KB of notes for the log of a-napi."""
    for path in (shared / "dumps" / "a-napi.trim.zlib.vmcore", unpacked / "a-napi.trim.elf.vmcore"):
        source = FileSource(path)
        with Dump(open_container(source), path.name) as dump:
            assert dump.log_text()
        assert source.bytes_read < 2 * (74_000 + 5_000)
