"""Address translation, VMCOREINFO, finding the kernel without a note, symbols and stacks from memory."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dumps.guest import DIRECT_MAP, PAGE, TABLES, UTS, VARIABLES, Guest, Record, build_guest
from dumps.symbols import STACK, add_kallsyms, call_at
from dumps.vmcore_builder import elf_bytes, write_elf, xen_bytes
from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.dump import Dump, open_dump
from kbmatch.collectors.memory.aarch64 import Aarch64Translation
from kbmatch.collectors.memory.facts import KernelFacts
from kbmatch.collectors.memory.stacks import plain_name
from kbmatch.collectors.memory.vmcoreinfo import parse_vmcoreinfo
from kbmatch.collectors.outside import MESSAGE, outside_event
from kbmatch.engine.errors import NotInDump, NotMapped


def dump_of(tmp_path: Path, guest: Guest, **options: object) -> Dump:
    return open_dump(write_elf(guest, tmp_path / "vmcore", **options))


@pytest.mark.parametrize("levels", [4, 5])
def test_walks_2m_and_1g_pages(tmp_path: Path, levels: int) -> None:
    guest = build_guest(levels=levels)
    guest.write(0x200000, b"in a 2 MiB page")
    guest.write((1 << 30) + 0x123456, b"in a 1 GiB page")
    guest.write(0x3FF000, b"x" * PAGE)
    guest.write(0x400000, b"y" * PAGE)
    base = DIRECT_MAP[levels]
    with dump_of(tmp_path, guest) as dump:
        memory = dump.memory
        assert memory is not None
        assert memory.read(base + 0x200000, 15) == b"in a 2 MiB page"
        assert memory.read(base + (1 << 30) + 0x123456, 15) == b"in a 1 GiB page"
        assert memory.read(base + 0x3FFFFE, 4) == b"xxyy"
        assert memory.read_u16(base + 0x3FFFFF) == 0x7978
        assert memory.read_c_string(base + 0x200000) == b"in a 2 MiB page"
        assert memory.translate(base + 0x200010) == 0x200010
        with pytest.raises(NotMapped):
            memory.read(base + (5 << 30), 8)
        with pytest.raises(NotMapped, match="canonical"):
            memory.read(0x0123456789ABCDEF, 8)
        with pytest.raises(NotInDump):
            memory.read(base + 0x900000, 8)
        with pytest.raises(NotMapped):
            memory.read(base, 1 << 40)


def test_encryption_bit_is_no_address(tmp_path: Path) -> None:
    """AMD SME sets a bit of the address field in every entry; VMCOREINFO tells which."""
    guest = build_guest([Record(b"line")], direct_map_log=True)
    for table in (t for t in guest.tables if t // PAGE in guest.pages):
        page = guest.pages[table // PAGE]
        entries = [e | 1 << 47 if e & 1 else e for e in struct.unpack("<512Q", page)]
        guest.write(table, struct.pack("<512Q", *entries))
    guest.vmcoreinfo = guest.vmcoreinfo.replace(b"sme_mask)=0", b"sme_mask)=%d" % (1 << 47))
    with dump_of(tmp_path, guest) as dump:
        assert dump.log_text() == b"[    0.000000] line\n"


def test_loop_in_page_tables_ends(tmp_path: Path) -> None:
    guest = build_guest()
    root = guest.physical(guest.text + TABLES)
    for index in range(512):
        guest.write(root + 8 * index, struct.pack("<Q", root | 0x63))
    with dump_of(tmp_path, guest) as dump:
        assert dump.memory is not None
        # A table that is its own entry leads to itself on the last level, in four steps and no more.
        assert dump.memory.translate(0xFFFFC90000000000) == root


def test_vmcoreinfo_text() -> None:
    info = parse_vmcoreinfo(
        b"OSRELEASE=5.4.17-2136.el7uek.x86_64\nKERNELOFFSET=1e000000\nNUMBER(phys_base)=-81788928\nSYMBOL(_stext)=ffffffff9f000000\n"
        b"NUMBER(TCR_EL1_T1SZ)=0x10\nOFFSET(a.b)=16\nSIZE(x)=8\nLENGTH(y)=4\nnonsense\nSYMBOL(bad)=zz\nOFFSET(c\nSIZE(z)="
        + b"9" * 99
        + b"\0after"
    )
    assert info.release == "5.4.17-2136.el7uek.x86_64"
    assert info.kernel_offset == 0x1E000000
    assert info.phys_base() == -81788928
    assert info.symbols == {"_stext": 0xFFFFFFFF9F000000}
    assert info.numbers["TCR_EL1_T1SZ"] == 16
    assert (info.offsets, info.sizes, info.lengths) == ({"a.b": 16}, {"x": 8}, {"y": 4})


@pytest.mark.parametrize("kind", ["pvh", "pv", "qemu"])
@pytest.mark.parametrize("pointer", [True, False], ids=["page of its own", "array in .bss"])
def test_kernel_is_found_without_a_note(tmp_path: Path, kind: str, pointer: bool) -> None:
    pv = kind == "pv"
    where = {"kaslr": 0, "phys_base": 0} if pv else {}
    guest = build_guest([Record(b"found")], vmcoreinfo_page=0x5A000 if pointer else None, small_pages=pv, **where)  # type: ignore[arg-type]
    if pointer:
        guest.put(guest.text + 0x30008, struct.pack("<QQ", len(guest.vmcoreinfo), DIRECT_MAP[4] + 0x5A000))
    else:
        guest.put(guest.text + 0x30123, guest.vmcoreinfo)
    # An older boot's text, lower in memory, must not be believed.
    stale = build_guest([Record(b"stale")], kaslr=0x10000000, release="5.5.5")
    guest.write(0x3000, stale.vmcoreinfo)
    path = tmp_path / "core"
    path.write_bytes(xen_bytes(guest, kind=kind) if kind != "qemu" else elf_bytes(guest, vmcoreinfo=False, qemu=True))
    with open_dump(path) as dump:
        assert dump.kernel.release == guest.release
        assert (dump.kernel.kaslr_offset, dump.kernel.phys_base) == (guest.kaslr, guest.phys_base)
        assert dump.log_text() == b"[    0.000000] found\n"
        assert any("the page tables of a CPU agree" in n.text for n in dump.notes)


def test_kernel_is_found_without_registers(tmp_path: Path) -> None:
    """Only PRSTATUS, which has no cr3: the text in memory alone, checked against init_uts_ns."""
    guest = build_guest([Record(b"found")])
    guest.write(0x3000, guest.vmcoreinfo.replace(b"OSRELEASE=6.1.0", b"OSRELEASE=%s.1"))
    with dump_of(tmp_path, guest, vmcoreinfo=False) as dump:
        assert dump.log_text() == b"[    0.000000] found\n"
        assert any("no page tables of a CPU" in n.text for n in dump.notes)


def test_page_tables_alone_give_kaslr_and_phys_base(tmp_path: Path) -> None:
    guest = build_guest([Record(b"x")], vmcoreinfo_page=None)
    with dump_of(tmp_path, guest, vmcoreinfo=False, qemu=True) as dump:
        assert (dump.kernel.kaslr_offset, dump.kernel.phys_base) == (guest.kaslr, guest.phys_base)
        assert dump.kernel.release is None
        assert dump.memory is not None
        assert dump.memory.read(guest.text + UTS, 5) == b"Linux"
        assert dump.log_text() == b""
        assert any(n.level == "error" for n in dump.notes)


def test_nothing_leads_to_the_kernel(tmp_path: Path) -> None:
    guest = build_guest([Record(b"x")], vmcoreinfo_page=None)
    with dump_of(tmp_path, guest, vmcoreinfo=False) as dump:
        assert dump.memory is None
        assert dump.log_text() == b""
        assert any("--vmcoreinfo" in n.text for n in dump.notes)
        assert outside_event(dump).message == MESSAGE


@pytest.mark.parametrize("form", [{}, {"per_cpu": False}, {"wide": True}], ids=["per-cpu", "plain", "wide"])
def test_kallsyms(tmp_path: Path, form: dict[str, Any]) -> None:
    guest = build_guest()
    long_name = "a_very_long_name_" * 9
    where = add_kallsyms(guest, ["alpha", "beta.isra.0", long_name], **form)
    with dump_of(tmp_path, guest) as dump:
        symbols = dump.symbols
        assert symbols is not None
        assert symbols.lookup(where["beta.isra.0"] + 7) == ("beta.isra.0", 7, 64)
        assert symbols.lookup(where[long_name]) == (long_name, 0, 64)
        assert symbols.lookup(guest.text - 1) is None
        assert symbols.lookup(1 << 63) is None
        assert symbols.find(["alpha", "absent"]) == {"alpha": where["alpha"]}


@pytest.mark.parametrize("form", [{}, {"per_cpu": False}, {"wide": True}, {"behind": True}], ids=str)
def test_kallsyms_are_found_where_nothing_tells(tmp_path: Path, form: dict[str, Any]) -> None:
    guest = build_guest([Record(b"x")])
    where = add_kallsyms(guest, ["alpha", "beta"], told=False, **form)
    with dump_of(tmp_path, guest) as dump:
        assert not any("kallsyms" in name for name in dump.vmcoreinfo.symbols)
        assert dump.symbols is not None
        assert dump.symbols.lookup(where["beta"] + 7) == ("beta", 7, 64)


def test_symbols_alone_lead_to_the_log(tmp_path: Path) -> None:
    """No VMCOREINFO, neither as a note nor in memory: cr3, the symbol table, the log."""
    guest = build_guest([Record(b"found")], vmcoreinfo_page=None)
    add_kallsyms(guest, ["alpha"], told=False, data={"prb": VARIABLES, "init_uts_ns": UTS})
    with dump_of(tmp_path, guest, vmcoreinfo=False, qemu=True) as dump:
        assert dump.kernel.release == guest.release
        assert dump.log_text() == b"[    0.000000] found\n"
        assert any("symbol table in its memory" in n.text for n in dump.notes)


@pytest.mark.parametrize("damage", ["kallsyms_token_index", "kallsyms_num_syms", "kallsyms_names"])
def test_damaged_kallsyms_are_none(tmp_path: Path, damage: str) -> None:
    guest = build_guest()
    add_kallsyms(guest, ["alpha"])
    place = parse_vmcoreinfo(guest.vmcoreinfo).symbols[damage]
    guest.put(place, b"\0" * 4 if damage != "kallsyms_token_index" else b"\xff" * 8)
    with dump_of(tmp_path, guest) as dump:
        assert dump.addresses("alpha") == {}
        assert list(dump.stacks()) == [] or damage == "kallsyms_names"


def hung_guest(*, frame_pointers: bool) -> tuple[Guest, dict[str, int]]:
    guest = build_guest([Record(b"nothing happened")])
    where = add_kallsyms(guest, ["spin", "driver_wait", "do_syscall_64", "do_idle"])
    returns = [call_at(guest, where[name] + 0x10) for name in ("driver_wait", "do_syscall_64")]
    stack = guest.text + STACK + 0x3000
    words = [0x1234, returns[0], where["driver_wait"] + 3, 77, returns[1], 0]
    bp = 0
    if frame_pointers:
        words = [5, stack + 32, returns[0], 6, stack + 64, returns[1], 0, 0, 0, 0]
        bp = stack + 8
        words[1] = stack + 32
    guest.put(guest.text + STACK, bytes(0x4000))
    guest.put(stack, struct.pack(f"<{len(words)}Q", *words))
    idle = {"rip": where["do_idle"] + 4, "rsp": guest.text + STACK + 0x100, "cr3": guest.cr3}
    hung = {"rip": where["spin"] + 9, "rsp": stack, "rbp": bp, "cr3": guest.cr3, "rax": 7}
    guest.registers = [idle, hung]
    return guest, where


def test_stack_scan_marks_its_frames(tmp_path: Path) -> None:
    guest, _ = hung_guest(frame_pointers=False)
    with dump_of(tmp_path, guest, qemu=True) as dump:
        event = outside_event(dump)
    assert (event.kind, event.message, event.fatal, event.cpu, event.pid) == ("other", MESSAGE, True, 1, None)
    assert (event.symbol, event.printed, event.offset, event.size, event.module) == ("spin", "spin+0x9/0x40", 9, 64, "")
    assert [(f.printed, f.reliable) for f in event.trace] == [
        ("driver_wait+0x15/0x40", False),
        ("do_syscall_64+0x15/0x40", False),
    ]
    assert event.registers["rax"] == 7


def test_frame_pointers_are_reliable(tmp_path: Path) -> None:
    guest, _ = hung_guest(frame_pointers=True)
    with dump_of(tmp_path, guest, qemu=True) as dump:
        event = outside_event(dump)
    assert [(f.symbol, f.reliable) for f in event.trace] == [("driver_wait", True), ("do_syscall_64", True)]


def test_cpu_in_user_code_has_no_kernel_stack(tmp_path: Path) -> None:
    guest, _ = hung_guest(frame_pointers=False)
    guest.registers = [{"rip": 0x401000, "rsp": 0x7FFF0000, "cr3": guest.cr3}]
    with dump_of(tmp_path, guest) as dump:
        (stack,) = dump.stacks()
        assert not stack.in_kernel
        assert outside_event(dump).symbol is None


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("foo.isra.0", "foo"),
        ("foo.constprop.0.isra.1", "foo"),
        ("foo.part.3.cold", "foo"),
        ("foo.llvm.123", "foo"),
        ("__pfx_foo", "foo"),
        (".hidden", ".hidden"),
    ],
)
def test_plain_names(name: str, plain: str) -> None:
    assert plain_name(name) == plain


class Pages:
    """Just enough of a Container for page tables."""

    def __init__(self) -> None:
        self.data: dict[int, int] = {}

    def read_physical(self, address: int, length: int) -> bytes:
        if length != 8 or address not in self.data:
            raise NotInDump(address, "absent")
        return struct.pack("<Q", self.data[address])

    def table_address(self, address: int) -> int:
        return address


@pytest.mark.parametrize(
    ("page", "bits", "address"),
    [
        (4096, 48, 0xFFFF800012345678),
        (4096, 39, 0xFFFFFFC012345678),
        (16384, 47, 0xFFFF800112345678),
        (65536, 48, 0xFFFF800112345678),
        (65536, 52, 0xFFF0800112345678),
    ],
)
@pytest.mark.parametrize("block", [False, True])
def test_aarch64_granules(page: int, bits: int, address: int, block: bool) -> None:
    """Tables are built by the architecture's own arithmetic, level by level, and walked."""
    shift = page.bit_length() - 1
    stride = shift - 3
    levels = -(-(bits - shift) // stride)
    memory, table = Pages(), 0x10000000
    root = table
    span = page
    for level in range(4 - levels, 4):
        at = shift + (3 - level) * stride
        index = address >> at & (1 << min(stride, bits - at)) - 1
        last = level == 3 or (block and level == 2)
        target = 0x40000000 << 6 if last else table + 0x100000
        memory.data[table + 8 * index] = target | (1 if last and level != 3 else 3)
        if last:
            span = 1 << at
            break
        table = target
    container: Container = memory  # type: ignore[assignment]
    walk = Aarch64Translation(container, root, page, bits, None)
    physical, rest = walk.translate(address)
    within = address & span - 1
    assert (physical, rest) == ((0x40000000 << 6) + within, span - within)
    with pytest.raises((NotMapped, NotInDump)):
        walk.translate(address ^ 1 << bits - 2)
    with pytest.raises(NotMapped):
        walk.translate(0x0000800012345678)
    image = Aarch64Translation(container, root, page, bits, (address, address + 64, address - 0x5000))
    assert image.translate(address + 8) == (0x5008, 56)


def test_what_a_wrapped_log_lost_is_read_from_memory(tmp_path: Path) -> None:
    """Products are told by the banner, which a log that wrapped no longer has."""
    guest = build_guest([Record(b"no banner here")])
    banner = b"Linux version 6.1.0-test (builder@vendor.example) (gcc 12) #1 SMP test\n"
    guest.put(guest.text + 0x50000, banner + b"\0root=/dev/sda quiet\0")
    guest.put(guest.text + 0x51000, struct.pack("<QQI", guest.text + 0x50000 + len(banner) + 1, 1 << 15 | 1 << 12, 3))
    data = {"linux_banner": 0x50000, "saved_command_line": 0x51000, "tainted_mask": 0x51008, "panic_cpu": 0x51010}
    add_kallsyms(guest, ["alpha"], data=data)
    with dump_of(tmp_path, guest) as dump:
        facts = dump.facts()
        assert (facts.command_line, facts.taint, facts.panic_cpu) == ("root=/dev/sda quiet", ("O", "K"), 3)
        kernel = dump.complete(dump.kernel)
        assert (kernel.banner, kernel.taint, kernel.livepatched) == (banner.decode().strip(), ("O", "K"), True)
        told = replace(dump.kernel, banner="Linux version told", taint=())
        assert dump.complete(told) is told


def test_facts_without_symbols_are_unknown(tmp_path: Path) -> None:
    with dump_of(tmp_path, build_guest()) as dump:
        assert dump.facts() == KernelFacts()
        assert dump.complete(dump.kernel) == dump.kernel
