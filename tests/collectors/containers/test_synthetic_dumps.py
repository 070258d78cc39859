"""Every container, written by our own builder, gives the same kernel and the same log."""

from __future__ import annotations

import gzip
import io
import lzma
import random
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dumps.vmcore_builder import (
    Guest,
    Record,
    build_guest,
    elf_bytes,
    flatten,
    kdump_bytes,
    note,
    write_elf,
    write_kdump,
    xen_bytes,
)
from kbmatch.collectors.containers.identify import identify
from kbmatch.collectors.containers.opening import open_source
from kbmatch.collectors.containers.unsupported import explain
from kbmatch.collectors.dump import open_dump
from kbmatch.engine.errors import (
    DamagedDump,
    NotACrashFile,
    UnreadableInput,
    UnsupportedFormat,
)

RECORDS = [Record(b"line %d of the log" % n, time_ns=n * 250_000_000) for n in range(40)]
EXPECTED = b"".join(b"[%5d.%06d] line %d of the log\n" % (n // 4, n % 4 * 250000, n) for n in range(40))


def lzo_store(page: bytes) -> bytes:
    """A valid LZO1X stream of literals only."""
    length = len(page) - 18
    run = b"\0" * (length // 255) if length % 255 else b"\0" * (length // 255 - 1)
    return b"\0" + run + bytes([length - 255 * len(run)]) + page + b"\x11\0\0"


def incompressible(page: bytes) -> bytes:
    return page + b"x"


WRITERS: dict[str, tuple[str, Callable[[Guest], bytes]]] = {
    "elf": ("elf-vmcore", elf_bytes),
    "elf, QEMU's layout": ("elf-vmcore", lambda g: elf_bytes(g, layout="qemu", qemu=True)),
    "elf as /proc/vmcore": ("elf-vmcore", lambda g: elf_bytes(g, layout="proc")),
    "elf with PN_XNUM": ("elf-vmcore", lambda g: elf_bytes(g, layout="xnum")),
    "elf without VMCOREINFO": ("elf-vmcore", lambda g: elf_bytes(g, vmcoreinfo=False, qemu=True)),
    "kdump zlib": ("kdump-compressed", kdump_bytes),
    "kdump of QEMU": ("kdump-compressed", lambda g: kdump_bytes(g, utsname=False)),
    "kdump version 5": ("kdump-compressed", lambda g: kdump_bytes(g, version=5)),
    "kdump uncompressed": ("kdump-compressed", lambda g: kdump_bytes(g, compress=incompressible)),
    "flattened kdump": ("kdump-flattened", lambda g: flatten(kdump_bytes(g))),
    "flattened elf": ("kdump-flattened", lambda g: flatten(elf_bytes(g))),
    "Xen PVH": ("xen-dump-core", xen_bytes),
    "Xen PV": ("xen-dump-core", lambda g: xen_bytes(g, kind="pv")),
}


def check(path: Path, guest: Guest, kind: str) -> None:
    with open_dump(path) as dump:
        assert dump.format == kind
        assert dump.size == path.stat().st_size
        assert (dump.kernel.release, dump.kernel.arch) == (guest.release, "x86_64")
        assert (dump.kernel.kaslr_offset, dump.kernel.phys_base) == (guest.kaslr, guest.phys_base)
        assert dump.machine.hostname == "crashbox"
        assert dump.log_text() == EXPECTED
        assert not [n for n in dump.notes if n.level != "info"]


@pytest.mark.parametrize("levels", [4, 5])
@pytest.mark.parametrize("direct", [False, True], ids=["log in the image", "log in the direct map"])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_container_gives_kernel_and_log(tmp_path: Path, writer: str, direct: bool, levels: int) -> None:
    kind, write = WRITERS[writer]
    pv = writer == "Xen PV"
    guest = build_guest(
        RECORDS,
        levels=4 if pv else levels,  # no PV guest has five
        direct_map_log=direct,
        small_pages=pv,
        kaslr=0 if pv else 0x2000000,
        phys_base=0 if pv else 0x400000,
    )
    path = tmp_path / "vmcore"
    path.write_bytes(write(guest))
    check(path, guest, kind)


def test_negative_phys_base(tmp_path: Path) -> None:
    guest = build_guest(RECORDS, kaslr=0x30000000, phys_base=-0x2F000000)
    check(write_kdump(guest, tmp_path / "vmcore"), guest, "kdump-compressed")


def test_phys_base_of_old_kernels_comes_from_the_container(tmp_path: Path) -> None:
    """VMCOREINFO tells phys_base since 4.10 only; the kdump header, a LOAD of the image or cr3 told it before."""
    guest = build_guest(RECORDS)
    untold = (b"phys_base", b"uts_namespace.name")
    guest.vmcoreinfo = b"\n".join(x for x in guest.vmcoreinfo.split(b"\n") if not any(u in x for u in untold))
    check(write_kdump(guest, tmp_path / "vmcore"), guest, "kdump-compressed")
    check(write_elf(guest, tmp_path / "vmcore", layout="proc"), guest, "elf-vmcore")
    check(write_elf(guest, tmp_path / "vmcore", qemu=True), guest, "elf-vmcore")


def test_flattened_pieces_in_any_order_and_the_last_one_wins(tmp_path: Path) -> None:
    guest = build_guest(RECORDS)
    data = kdump_bytes(guest)
    count = -(-len(data) // 3000)
    order = random.Random(1).sample(range(count), count)
    body = flatten(data, order=order)
    # A first, wrong version of the header that the real pieces overwrite.
    wrong = struct.pack(">qq", 100, 5000) + b"\xee" * 5000
    path = tmp_path / "vmcore"
    path.write_bytes(body[:4096] + wrong + body[4096:])
    check(path, guest, "kdump-flattened")


@pytest.mark.parametrize("single", [True, False], ids=["one named, the others beside it", "all named"])
def test_split_set_is_one_dump(tmp_path: Path, single: bool) -> None:
    guest = build_guest(RECORDS)
    pfns = sorted(guest.pages)
    cuts = [0, pfns[len(pfns) // 3], pfns[2 * len(pfns) // 3], pfns[-1] + 1]
    paths = [write_kdump(guest, tmp_path / f"part{n}", window=(cuts[n], cuts[n + 1])) for n in range(3)]
    write_kdump(build_guest(RECORDS, release="9.9"), tmp_path / "other", window=(0, 5))
    (tmp_path / "readme.txt").write_text("no dump")
    with open_dump(paths[1] if single else paths) as dump:
        assert dump.log_text() == EXPECTED
        assert not dump.notes


def test_missing_piece_of_a_split_set_is_told(tmp_path: Path) -> None:
    guest = build_guest(RECORDS)
    pfns = sorted(guest.pages)
    path = write_kdump(guest, tmp_path / "part1", window=(0, pfns[len(pfns) // 2]))
    with open_dump(path) as dump:
        assert any("is missing" in n.text for n in dump.notes)
        assert dump.kernel.release == guest.release


def test_pieces_of_two_dumps_are_refused(tmp_path: Path) -> None:
    one = write_kdump(build_guest(RECORDS), tmp_path / "a", window=(0, 0x100))
    two = write_kdump(build_guest(RECORDS, release="9.9"), tmp_path / "b", window=(0x100, 0x200))
    with pytest.raises(UnsupportedFormat, match="another dump"):
        open_dump([one, two])


def pack_tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in (("readme", b"hello"), ("127.0.0.1/vmcore", data)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def pack_zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lzma.compress,
        pack_zstd,
        pack_tar,
        lambda d: gzip.compress(pack_tar(d)),
        lambda d: pack_tar(gzip.compress(d)),
    ],
    ids=["gz", "xz", "zst", "tar", "tar.gz", "gz in tar"],
)
def test_compressed_as_it_arrives_with_a_ticket(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "upload.bin"
    path.write_bytes(pack(elf_bytes(build_guest(RECORDS))))
    with open_dump(path) as dump:
        assert dump.format == "elf-vmcore"
        assert dump.log_text() == EXPECTED
    assert [p.name for p in tmp_path.iterdir()] == ["upload.bin"]


def test_cut_compressed_file_gives_what_was_whole(tmp_path: Path) -> None:
    guest = build_guest(RECORDS)
    guest.write(64 << 20, random.Random(1).randbytes(1 << 20))
    packed = gzip.compress(elf_bytes(guest))
    path = tmp_path / "vmcore.gz"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    with open_dump(path) as dump:
        assert dump.log_text() == EXPECTED
        assert any("could be unpacked" in n.text for n in dump.notes)
        assert any("truncated" in n.text for n in dump.notes)


def test_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(8 << 20)))
    with pytest.raises(UnsupportedFormat, match="max-unpacked"):
        open_source(path, max_unpacked=1 << 20)


def test_unpacked_file_is_sparse(tmp_path: Path) -> None:
    path = tmp_path / "zeros.xz"
    path.write_bytes(lzma.compress(bytes(32 << 20) + b"end"))
    source, problems = open_source(path)
    assert source.size == (32 << 20) + 3
    assert not problems
    assert sum(end - start for start, end in source.data_extents()) < 1 << 20
    source.close()


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = flatten(kdump_bytes(build_guest(RECORDS)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with open_dump("-") as dump:
        assert dump.format == "kdump-flattened"
        assert dump.log_text() == EXPECTED


def test_user_process_core_is_refused(tmp_path: Path) -> None:
    data = bytearray(elf_bytes(build_guest(RECORDS)))
    at = data.index(note(b"VMCOREINFO", 0, b"")[12:24]) - 12
    data[at : at + 12] = struct.pack("<III", 5, 0, 3)
    data[at + 12 : at + 20] = b"CORE\0\0\0\0"
    path = tmp_path / "core.1234"
    path.write_bytes(bytes(data))
    with pytest.raises(UnsupportedFormat, match="user process"):
        open_dump(path)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (struct.pack("<I", 0xBED2BED2), "VMware"),
        (struct.pack("<Q", 0xA8190173618F23ED), "LKCD"),
        (b"sadump\0\0", "sadump"),
        (b"EMiL", "LiME"),
        (b"LibvirtQemudSave", "libvirt"),
        (b"QEVM", "QEMU"),
        (b"LinuxGuestRecord", "Xen save"),
        (struct.pack("<6I", 0xF00FEBED, 1, 2, 3, 4, 5), "non-ELF Xen"),
        (bytes(4086) + b"S1SUSPEND\0", "hibernation"),
    ],
)
def test_unread_formats_are_named_with_what_to_do(tmp_path: Path, head: bytes, word: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(head.ljust(8192, b"\0"))
    found = explain(head.ljust(8192, b"\0"), 8192)
    assert found is not None
    assert word in found[0]
    with pytest.raises(UnsupportedFormat, match="does not read; "):
        open_dump(path)


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", "empty"), (b"\xff\xd8\xff\xe0 JPEG", "not a kernel dump"), (b"hello\n", "not a kernel dump")],
)
def test_no_dump(tmp_path: Path, content: bytes, error: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert identify(content, len(content)) is None
    with pytest.raises(NotACrashFile, match=error):
        open_dump(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="No such file"):
        open_dump(tmp_path / "absent")
    with pytest.raises(UnreadableInput, match="directory"):
        open_dump(tmp_path)


@pytest.mark.parametrize("kind", ["elf", "kdump"])
def test_other_architectures_are_named(tmp_path: Path, kind: str) -> None:
    guest = build_guest(RECORDS)
    if kind == "elf":
        data = bytearray(elf_bytes(guest))
        struct.pack_into("<H", data, 18, 22)
    else:
        data = bytearray(kdump_bytes(guest))
        data[12 + 4 * 65 : 12 + 5 * 65] = b"s390x".ljust(65, b"\0")
    path = tmp_path / "vmcore"
    path.write_bytes(bytes(data))
    with pytest.raises(UnsupportedFormat, match="s390x"):
        open_dump(path)


def test_incomplete_flag_is_told(tmp_path: Path) -> None:
    with open_dump(write_kdump(build_guest(RECORDS), tmp_path / "vmcore", status=1 | 8)) as dump:
        assert dump.log_text() == EXPECTED
        assert any("incomplete" in n.text for n in dump.notes)


def test_truncated_elf_uses_what_is_whole(tmp_path: Path) -> None:
    guest = build_guest(RECORDS)
    guest.write(1 << 28, b"far above the log")
    data = elf_bytes(guest)
    path = tmp_path / "vmcore"
    path.write_bytes(data[:-100])
    with open_dump(path) as dump:
        assert dump.log_text() == EXPECTED
        assert any(f"truncated at byte {len(data) - 100} of {len(data)}" in n.text for n in dump.notes)


def test_truncated_before_any_memory(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(elf_bytes(build_guest(RECORDS))[:70])
    with pytest.raises(DamagedDump, match="program headers"):
        open_dump(path)


def test_xen_core_without_section_names(tmp_path: Path) -> None:
    """.shstrtab stands last in real cores: a cut one has lost the names, types and sizes still tell."""
    guest = build_guest(RECORDS)
    data = xen_bytes(guest)
    path = tmp_path / "core"
    path.write_bytes(data[: data.index(b"\0.shstrtab\0")])
    with open_dump(path) as dump:
        assert dump.log_text() == EXPECTED
        assert any("truncated" in n.text for n in dump.notes)


def test_overrides(tmp_path: Path) -> None:
    """--vmcoreinfo replaces the dump's own; a wrong one is found out."""
    guest = build_guest(RECORDS, vmcoreinfo_page=None)
    path = write_elf(guest, tmp_path / "vmcore", vmcoreinfo=False)
    with open_dump(path) as dump:
        assert dump.memory is None
        assert any(n.level == "error" for n in dump.notes)
    with open_dump(path, vmcoreinfo=guest.vmcoreinfo) as dump:
        assert dump.log_text() == EXPECTED
    with open_dump(path, kaslr=guest.kaslr, phys_base=guest.phys_base) as dump:
        assert dump.memory is not None
        assert dump.memory.read(guest.text, 4) == b"\xcc" * 4
    wrong = guest.vmcoreinfo.replace(b"NUMBER(phys_base)=4194304", b"NUMBER(phys_base)=8388608")
    with open_dump(path, vmcoreinfo=wrong) as dump:
        assert any("could not be verified" in n.text for n in dump.notes)


def test_left_out_pages_are_unknown_not_zeros(tmp_path: Path) -> None:
    from kbmatch.engine.errors import NotInDump

    guest = build_guest(RECORDS)
    for write in (elf_bytes, kdump_bytes):
        path = tmp_path / "vmcore"
        path.write_bytes(write(guest))
        with open_dump(path) as dump, pytest.raises(NotInDump):
            dump.container.read_physical(0x3000000, 8)


def test_lzo_pages_stored_by_hand(tmp_path: Path) -> None:
    guest = build_guest(RECORDS)
    stream_size = len(lzo_store(bytes(4096)))
    assert stream_size > 4096  # literals only: makedumpfile would store such a page as it is
    from kbmatch.collectors.containers.lzo import decompress

    for page in guest.pages.values():
        assert decompress(lzo_store(bytes(page)), 4096) == bytes(page)
