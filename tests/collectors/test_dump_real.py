"""Real vmcores of ../shared/dumps give their ground truth with no option."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from kbmatch.collectors.containers.opening import open_container
from kbmatch.collectors.containers.source import FileSource
from kbmatch.collectors.dump import Dump, open_dump
from kbmatch.collectors.outside import outside_event

ELF = ["a-bug", "a-gpf", "a-napi", "a-napi-kdump", "a-nullfn", "a-proc", "a-softlockup", "a-stack", "a-sysrq"]
PLAIN = ["a-napi.trim.zlib", "a-napi-kdump.trim.zlib", "a-napi.trim.snappy", "a-napi.trim.zstd"]


@pytest.fixture(scope="session")
def unpacked(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .zst dumps, unpacked once."""
    import zstandard

    folder = tmp_path_factory.mktemp("vmcores")
    for packed in [*sorted((shared / "dumps").glob("*.zst")), *sorted((shared / "xen").glob("*.zst"))]:
        with packed.open("rb") as source, (folder / packed.stem).open("wb") as target:
            for block in zstandard.ZstdDecompressor().read_to_iter(source, write_size=1 << 16):
                if block.count(0) == len(block):
                    target.seek(len(block), 1)
                else:
                    target.write(block)
            target.truncate()
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
    assert all(ours == theirs or ours.endswith(b"] " + theirs) for ours, theirs in zip(lines, saved, strict=True))
    assert all(line.startswith(b"[") for line in lines)


def test_bytes_read_stay_near_the_floor(shared: Path, unpacked: Path) -> None:
    """dump-facts: 74 KB distinct bytes, 5 KB of notes for the log of a-napi."""
    for path in (shared / "dumps" / "a-napi.trim.zlib.vmcore", unpacked / "a-napi.trim.elf.vmcore"):
        source = FileSource(path)
        with Dump(open_container(source), path.name) as dump:
            assert dump.log_text()
        assert source.bytes_read < 2 * (74_000 + 5_000)


def test_flattened_kdump_of_qemu(shared: Path) -> None:
    with open_dump(shared / "dumps" / "a-napi.trim.flat.vmcore") as dump:
        assert dump.format == "kdump-flattened"
        check(dump, truth_of(shared, "a-napi"))


def test_zst_as_it_is(shared: Path) -> None:
    with open_dump(shared / "dumps" / "a-bug.trim.elf.vmcore.zst") as dump:
        check(dump, truth_of(shared, "a-bug"))


def test_aarch64(shared: Path) -> None:
    truth = truth_of(shared, "arm64-sysrq")
    serial = (shared / "dumps" / "logs" / "arm64-sysrq.serial.log").read_bytes().replace(b"\r", b"")
    with open_dump(shared / "dumps" / "arm64-sysrq.zlib.vmcore") as dump:
        assert (dump.kernel.release, dump.kernel.arch) == (truth["kernel_release"], "aarch64")
        assert dump.kernel.kaslr_offset == int(str(truth["kernel_offset"]), 16)
        text = dump.log_text()
        wanted = [line for line in serial.splitlines() if line.startswith(b"[ ")]
        assert len(wanted) > 150
        assert sum(line in text for line in wanted) >= 0.98 * len(wanted)
        event = outside_event(dump)
    printed = [f.printed for f in event.trace if f.reliable]
    trace = [t for t in truth["call_trace"] if "panic" not in t and "seq_param" not in t]  # type: ignore[attr-defined]
    assert [t for t in trace if t in printed] == trace


@pytest.mark.parametrize(("name", "share"), [("pv-sysrq", 0.76), ("pvh-grub-ringbreak", 0.81)])
def test_cut_xen_core_has_lost_its_page_index(unpacked: Path, tmp_path: Path, name: str, share: float) -> None:
    """The index stands behind the pages: the usual order is tried, and checked against the kernel's own name."""
    path = unpacked / f"{name}.core"
    with open_dump(path) as dump:
        expected, kernel = dump.log_text(), dump.kernel
    cut = tmp_path / "core"
    with path.open("rb") as source, cut.open("wb") as target:
        target.write(source.read(int(path.stat().st_size * share)))
    with open_dump(cut) as dump:
        assert dump.log_text() == expected
        assert dump.kernel == kernel
        assert any("truncated at byte" in n.text for n in dump.notes)
        assert any("page index is gone" in n.text for n in dump.notes)


def test_cut_kdump_says_so(shared: Path, tmp_path: Path) -> None:
    data = (shared / "dumps" / "a-napi.trim.zlib.vmcore").read_bytes()
    path = tmp_path / "vmcore"
    path.write_bytes(data[: len(data) // 2])
    with open_dump(path) as dump:
        assert dump.log_text() == b""
        assert dump.kernel.release == "6.1.0-56-cloud-amd64"
        assert any(f"truncated at byte {len(data) // 2}" in n.text for n in dump.notes)


def test_aarch64_without_a_note(shared: Path) -> None:
    """The text in memory alone leads to the same log."""
    path = shared / "dumps" / "arm64-sysrq.zlib.vmcore"
    with open_dump(path) as dump:
        expected, kernel = dump.log_text(), dump.kernel
    container = open_container(FileSource(path))
    container.vmcoreinfo = None
    with Dump(container, path.name) as dump:
        assert dump.log_text() == expected
        assert dump.kernel == kernel
        assert any("text in its memory" in n.text for n in dump.notes)


@pytest.mark.parametrize("name", ["pv-sysrq", "pvh-grub-ringbreak"])
def test_xen_guests(shared: Path, unpacked: Path, name: str) -> None:
    """The founding analyst had to find phys_base and kaslr by hand for such a core."""
    truth = json.loads((shared / "xen" / "truth" / f"{name}.json").read_text())["guest_truth"]
    with open_dump(unpacked / f"{name}.core") as dump:
        assert dump.format == "xen-dump-core"
        assert dump.kernel.kaslr_offset == int(truth["kaslr_offset"], 16)
        assert dump.kernel.phys_base == int(truth["phys_base"], 16)
        assert truth["uname"] == f"{dump.kernel.release} {dump.kernel.version}"
        text = dump.log_text().decode()
        lines = [line for line in truth["console_after_ready"] if line.startswith("[ ")]
        assert len(lines) > 60
        assert [line for line in lines if line not in text] == []
        assert dump.facts().command_line == truth["cmdline"]
        found = dump.addresses(*[n for n in truth["symbols"] if " [" not in n])
        wanted = {n: int(a, 16) for n, a in truth["symbols"].items() if n in found}
        assert len(found) > 25
        assert found == wanted
        assert any("page tables of a CPU agree" in n.text for n in dump.notes)


@pytest.mark.parametrize("name", ["a-napi.trim.elf.vmcore", "a-gpf.trim.qemu-layout.vmcore"])
def test_qemu_dump_without_the_vmcoreinfo_device(unpacked: Path, shared: Path, tmp_path: Path, name: str) -> None:
    """The note is taken away; cr3 in QEMU's note and the text in memory lead to the same answers."""
    data = bytearray((unpacked / name).read_bytes())
    at = data.index(b"VMCOREINFO\0")
    data[at : at + 11] = b"NOTHING\0\0\0\0"
    path = tmp_path / "vmcore"
    path.write_bytes(data)
    truth = truth_of(shared, name.split(".", maxsplit=1)[0])
    with open_dump(path) as dump:
        assert dump.kernel.kaslr_offset == int(str(truth["kaslr_offset"]), 16)
        assert dump.kernel.phys_base is not None
        assert dump.kernel.phys_base % 2**64 == int(str(truth["phys_base"]), 16)
        assert hashlib.sha256(drgn_text(dump)).hexdigest() == truth["dmesg"]["sha256"]  # type: ignore[index]


def makedumpfile(*arguments: object) -> None:
    if shutil.which("makedumpfile") is None:
        pytest.skip("ORACLE ABSENT: makedumpfile is not installed")
    subprocess.run(["makedumpfile", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def test_lzo_decoder_against_makedumpfile(unpacked: Path, shared: Path, tmp_path: Path) -> None:
    """Every page that makedumpfile compressed with liblzo2, against the ELF file it came from."""
    makedumpfile("-l", "-d", 0, unpacked / "a-napi.trim.elf.vmcore", tmp_path / "lzo")
    plain = open_container(FileSource(unpacked / "a-napi.trim.elf.vmcore"))
    packed = open_container(FileSource(tmp_path / "lzo"))
    count = 0
    for start, end in packed.physical_ranges():
        assert packed.read_physical(start, end - start) == plain.read_physical(start, end - start)
        count += (end - start) // 4096
    assert count > 5000
    with open_dump(tmp_path / "lzo") as dump:
        check(dump, truth_of(shared, "a-napi"))


def test_split_by_makedumpfile(unpacked: Path, shared: Path, tmp_path: Path) -> None:
    pieces = [tmp_path / f"part{n}" for n in range(3)]
    makedumpfile("--split", "-c", "-d", 0, unpacked / "a-napi.trim.elf.vmcore", *pieces)
    for named in ([pieces[0]], pieces[1], pieces):
        with open_dump(named) as dump:
            check(dump, truth_of(shared, "a-napi"))


def test_same_log_as_makedumpfile(unpacked: Path, shared: Path, tmp_path: Path) -> None:
    path = shared / "dumps" / "a-napi-kdump.trim.zlib.vmcore"
    makedumpfile("--dump-dmesg", path, tmp_path / "dmesg")
    with open_dump(path) as dump:
        ours = [line.rstrip() for line in dump.log_text().splitlines()]
    theirs = [line.rstrip() for line in (tmp_path / "dmesg").read_bytes().splitlines()]
    assert [line.split(b"] ", 1)[-1].strip() for line in ours] == [line.split(b"] ", 1)[-1].strip() for line in theirs]


VMLINUX = Path("/usr/lib/debug/boot/vmlinux-6.1.0-56-cloud-amd64")


@pytest.mark.parametrize(
    ("name", "frames"),
    # Without ringdrv's debuginfo drgn does not get out of the module in which a-napi-kdump stands.
    [("a-napi-kdump.trim.elf.vmcore", 0), ("a-sysrq.trim.elf.vmcore", 5)],
)
def test_log_and_symbols_agree_with_drgn(unpacked: Path, name: str, frames: int) -> None:
    drgn = pytest.importorskip("drgn", reason="ORACLE ABSENT: drgn is not installed")
    if not VMLINUX.is_file():
        pytest.skip(f"ORACLE ABSENT: {VMLINUX} is not there")
    from drgn.helpers.linux.printk import get_dmesg

    program = drgn.Program()
    program.set_core_dump(unpacked / name)
    program.load_debug_info([str(VMLINUX)])
    with open_dump(unpacked / name) as dump:
        assert drgn_text(dump) == get_dmesg(program)
        symbols = dump.symbols
        assert symbols is not None
        assert dump.memory is not None
        for symbol in ("panic", "vfs_write", "schedule", "do_syscall_64"):
            address = program.symbol(symbol).address
            assert symbols.lookup(address + 3) == (symbol, 3, symbols.lookup(address)[2])  # type: ignore[index]
            assert dump.addresses(symbol) == {symbol: address}
        # A page walk, not the image's shortcut: what the trimmed dump holds of the direct map.
        base = dump.memory.read_u64(dump.addresses("page_offset_base")["page_offset_base"])
        low = next(start for start, end in dump.container.physical_ranges() if end - start >= 8192)
        assert dump.memory.read(base + low, 8192) == program.read(base + low, 8192)
        # Every function of drgn's trace of the panic task that has frames of its own is in ours.
        chosen = outside_event(dump)
        ours = {chosen.symbol, *(f.symbol for f in chosen.trace)}
        trace = program.crashed_thread().stack_trace()
        theirs = [f.name for f in trace if not f.is_inline and f.name]
        known = [n for n in theirs if symbols.find([n])]
        assert len(known) >= frames
        assert sum(n in ours for n in known) >= 0.7 * len(known)


def test_log_agrees_with_crash(shared: Path, tmp_path: Path) -> None:
    if shutil.which("crash") is None or not VMLINUX.is_file():
        pytest.skip("ORACLE ABSENT: crash or its vmlinux is not installed")
    path = shared / "dumps" / "a-napi-kdump.trim.zlib.vmcore"
    out = subprocess.run(
        ["crash", "-s", "--minimal", VMLINUX, path], input=b"log\nquit\n", capture_output=True, timeout=60, check=True
    ).stdout
    theirs = [line.strip() for line in out.splitlines() if line.startswith(b"[ ")]
    with open_dump(path) as dump:
        ours = [line.strip() for line in dump.log_text().splitlines()]
    assert len(theirs) > 300
    assert [line for line in theirs if line not in ours] == []


def test_no_growth_with_the_size_of_the_dump(tmp_path: Path) -> None:
    """A sparse dump of 64 GiB costs as many bytes and reads as one of 256 MiB."""
    from dumps.guest import Record, build_guest
    from dumps.sparse import sparse_elf, sparse_kdump

    guest = build_guest([Record(b"line %d" % n) for n in range(40)], direct_map_log=True)
    for write in (sparse_elf, sparse_kdump):
        costs = []
        for size in (256 << 20, 64 << 30):
            path = write(guest, tmp_path / "vmcore", size)
            source = FileSource(path)
            with Dump(open_container(source), "sparse") as dump:
                assert dump.log_text().count(b"\n") == 40
                assert not dump.notes
            costs.append(source.bytes_read)
        assert costs[1] < 1.2 * costs[0]
