"""Probes and dumps that mean harm, or are torn: everything ends, in bounds, and says what it ran into."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.collectors.probes.evaluator import Budget, Evaluator
from kbmatch.collectors.probes.records import read_record
from kbmatch.collectors.probes.roots import MAX_RECORDS, Found, find_records
from kbmatch.collectors.probes.value import Unknown, Value
from kbmatch.collectors.types.btf import BadBtf, Btf
from kbmatch.collectors.types.catalogue import TypeCatalogue
from kbmatch.collectors.types.laid_out import LayoutTypes
from kbmatch.collectors.types.model import U64
from kbmatch.engine.errors import NotInDump, NotMapped
from kbmatch.engine.layout import LaidMember, LaidStruct, Layout
from kbmatch.engine.probe import Probe, ProbeField, RegisterRoot, Step, WalkRoot
from kbmatch.kb.store.c_expressions import parse_expression

BASE = 0xFFFF888000000000
HEAD = {"next": LaidMember(0, "struct list_head *"), "prev": LaidMember(8, "struct list_head *")}
ITEM = {
    "value": LaidMember(0, "u32"),
    "flag": LaidMember(4, "u8", (2, 3)),
    "list": LaidMember(8, "struct list_head"),
    "name": LaidMember(24, "char *"),
}
BOX = {
    "items": LaidMember(0, "struct item *"),
    "count": LaidMember(8, "u32"),
    "head": LaidMember(16, "struct list_head"),
    "text": LaidMember(32, "char [8]"),
}
STRUCTS = {
    "struct list_head": LaidStruct(16, HEAD),
    "struct item": LaidStruct(32, ITEM),
    "struct box": LaidStruct(64, BOX),
}
LAYOUT = Layout("t", "test", structs=STRUCTS)


@dataclass
class FakeMemory:
    pages: dict[int, bytearray] = field(default_factory=dict)
    reads: int = 0

    def put(self, address: int, layout: str, *values: int) -> None:
        for n, byte in enumerate(struct.pack(layout, *values)):
            self.pages.setdefault((address + n) >> 12, bytearray(4096))[(address + n) & 4095] = byte

    def read(self, address: int, length: int) -> bytes:
        self.reads += 1
        out = bytearray()
        for at in range(address, address + length):
            page = self.pages.get(at >> 12)
            if page is None:
                raise NotMapped(at, "no") if at >> 40 == 0xFFFFDE else NotInDump(at, "left out")
            out.append(page[at & 4095])
        return bytes(out)


class FakeSymbols:
    def address(self, name: str) -> int | None:
        return {"box": BASE}.get(name)

    def per_cpu_offset(self, cpu: int) -> int | None:
        return {0: 0x100, 1: 0x200}.get(cpu)


def evaluator(memory: FakeMemory, budget: Budget | None = None) -> Evaluator:
    catalogue: TypeCatalogue
    catalogue = TypeCatalogue([LayoutTypes(LAYOUT, lambda: catalogue)])
    return Evaluator(catalogue, memory, FakeSymbols(), budget or Budget())


def probe(*steps: Step, yields: str = "p", where: str | None = None) -> Probe:
    roots = ()
    if where is not None:
        guard = parse_expression(where)
        roots = (RegisterRoot({"x86_64": ("rdi", "rsi")}, "struct item", "", guard, parse_expression("p")),)
    walks = (WalkRoot(steps, parse_expression(yields)),) if steps else ()
    value = parse_expression("q->value")
    return Probe("t", "", "q", "struct item", roots, (ProbeField("value", "integer", value, ""),), walks=walks)


ARRAY = Step(
    "array", "p", parse_expression("((struct box *)&box)->items"), parse_expression("((struct box *)&box)->count")
)
LIST = Step("list", "p", parse_expression("&((struct box *)&box)->head"), None, "struct item", "list")


def walk(memory: FakeMemory, what: Probe, **registers: int) -> Found:
    return find_records(what, evaluator(memory), registers, "x86_64")


def test_a_list_that_ends_is_complete() -> None:
    memory = FakeMemory()
    memory.put(BASE + 16, "<QQ", BASE + 0x108, BASE + 0x208)
    memory.put(BASE + 0x108, "<QQ", BASE + 0x208, 0)
    memory.put(BASE + 0x208, "<QQ", BASE + 16, 0)
    found = walk(memory, probe(LIST))
    assert (list(found.records), found.walked) == ([BASE + 0x100, BASE + 0x200], True)


def test_a_list_that_bites_its_tail_ends_and_is_not_complete() -> None:
    memory = FakeMemory()
    memory.put(BASE + 16, "<Q", BASE + 0x108)
    memory.put(BASE + 0x108, "<Q", BASE + 0x208)
    memory.put(BASE + 0x208, "<Q", BASE + 0x108)
    found = walk(memory, probe(LIST))
    assert (len(found.records), found.walked) == (2, False)
    assert "bites its tail" in next(iter(found.gaps))


@pytest.mark.parametrize("at", [0, 8, 0xDEAD000000000100, 0xFFFFDE0000000000, BASE + 0x10000000])
def test_a_list_into_nowhere_keeps_what_was_found(at: int) -> None:
    memory = FakeMemory()
    memory.put(BASE + 16, "<Q", BASE + 0x108)
    memory.put(BASE + 0x108, "<Q", at)
    found = walk(memory, probe(LIST))
    assert BASE + 0x100 in found.records
    assert not found.walked


@pytest.mark.parametrize("count", [0xFFFFFFFF, 1_000_000, 70_000])
def test_a_million_elements_are_refused(count: int) -> None:
    memory = FakeMemory()
    memory.put(BASE, "<QI", BASE + 0x1000, count)
    started = time.monotonic()
    found = walk(memory, probe(ARRAY))
    assert not found.walked
    assert f"{count} elements" in next(iter(found.gaps))
    assert time.monotonic() - started < 1


def test_more_records_than_a_probe_may_have_are_cut_and_told() -> None:
    memory = FakeMemory()
    memory.put(BASE, "<QI", BASE + 0x1000, 60_000)
    started = time.monotonic()
    found = walk(memory, probe(ARRAY))
    assert (len(found.records), found.walked) == (MAX_RECORDS, False)
    assert time.monotonic() - started < 3


def test_a_walk_of_walks_runs_out_of_steps_and_says_so() -> None:
    memory = FakeMemory()
    memory.put(BASE, "<QI", BASE + 0x1000, 60_000)
    inner = Step("array", "i", ARRAY.expression, ARRAY.count, where=parse_expression("0"))
    started = time.monotonic()
    found = walk(memory, probe(ARRAY, inner))
    assert any("steps" in gap for gap in found.gaps)
    assert time.monotonic() - started < 5


def test_a_counter_without_end_stops() -> None:
    memory = FakeMemory()
    memory.put(BASE, "<I", 7)
    endless = ProbeField("n", "integer", parse_expression("i >= 0"), "", "i")
    what = Probe("t", "", "q", "struct item", (), (endless,))
    assert read_record(what, evaluator(memory), BASE).values == {"n": 4096}


def test_a_register_is_followed_only_if_its_guard_is_surely_true() -> None:
    memory = FakeMemory()
    memory.put(BASE + 0x100, "<I", 7)
    what = probe(where="p->value == 7")
    assert walk(memory, what, rdi=BASE + 0x100).records == {BASE + 0x100: "rdi"}
    assert walk(memory, what, rdi=BASE + 0x200).records == {}  # value 0
    assert walk(memory, what, rdi=BASE + 0x999000).records == {}  # not in the dump: no guess is made
    assert walk(memory, what, rdi=0, rsi=0xFFFFFFFF).records == {}
    assert "not in this dump" in next(iter(walk(memory, what, rdi=BASE + 0x999000).gaps))


def test_what_was_left_out_is_unknown_and_never_zero() -> None:
    record = read_record(probe(), evaluator(FakeMemory()), BASE)
    assert record.values == {}
    assert "not in this dump" in record.missing["value"]


def value_of(text: str, memory: FakeMemory | None = None) -> int | None:
    machine = evaluator(memory or FakeMemory())
    machine.variables["x"] = Value(U64, 5)
    return machine.scalar(parse_expression(text)).number


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(u32)(x - 6)", 0xFFFFFFFF), ("(u8)(x + 254)", 3), ("(u32)x - 6 > 0", 1), ("(int)x - 6 < 0", 1),
        ("-7 / 2", -3), ("-7 % 2", -1), ("1 << 31 < 0", 1), ("~0", -1), ("!x", 0), ("0x80000000 > 0", 1),
        ("0 && *(u32 *)0", 0), ("*(u32 *)0 && 0", 0), ("1 || *(u32 *)0", 1), ("*(u32 *)0 || 1", 1),
        ("sizeof(struct item)", 32), ("offsetof(struct box, head.prev)", 24), ("(u64)((struct item *)64 + 2)", 128),
        ("(struct item *)128 - (struct item *)64", 2), ("(u64)container_of(x + 35, struct item, list)", 32),
        ("(bool)x", 1), ("(u16)65537 == 1", 1), ("(char)200 < 0", 1),
    ],
)  # fmt: skip
def test_expressions_are_computed_as_in_c(text: str, wanted: int) -> None:
    assert value_of(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "*(u32 *)0", "((struct item *)8)->value", "nowhere", "*(u32 *)&nowhere", "x->value", "x.value", "x / 0",
        "x % 0",
        "x << 64", "(struct nothing)x", "sizeof(struct nothing)", "offsetof(struct item, nothing)",
        "((struct box *)&box)->nothing",
        "&x", "*(struct box *)&box", "1 && *(u32 *)0", "0 || *(u32 *)0",
        "per_cpu(box, 7)", "*(u32 *)0x1000000",
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_unknown(text: str) -> None:
    with pytest.raises(Unknown):
        value_of(text)


def test_bit_fields_arrays_texts_and_per_cpu_variables_are_read() -> None:
    memory = FakeMemory()
    memory.put(BASE, "<QI", BASE + 0x100, 2)
    memory.put(BASE + 32, "<8s", b"abc\0xxxx")
    memory.put(BASE + 0x100 + 32, "<IB", 9, 0b10100)
    memory.put(BASE + 0x200, "<Q", 77)
    assert value_of("((struct box *)&box)->items[1].value", memory) == 9
    assert value_of("((struct box *)&box)->items[1].flag", memory) == 5
    assert value_of("*(u64 *)&per_cpu(box, 1)", memory) == 77
    assert evaluator(memory).text(parse_expression("((struct box *)&box)->text")) == ("abc", BASE + 32)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_btf_raise_anything_else(data: bytes) -> None:
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, max(0, len(data) - 40) & ~3, max(0, len(data) - 40) & ~3, 8)
    for whole in (data, header + data):
        try:
            btf = Btf(whole)
        except BadBtf:
            continue
        for number in range(1, btf.end_id):
            type_ = btf.type(number)
            _ = (type_.name, type_.size)
            if hasattr(type_, "members"):
                _ = type_.members
                type_.find("x")


def test_types_that_nest_in_a_circle_end() -> None:
    strings = b"\0a\0"
    # struct 1 holds, unnamed, itself; array 2 is an array of itself; typedef 3 names itself
    types = struct.pack("<IIIIII", 1, 4 << 24 | 1, 8, 0, 1, 0)
    types += struct.pack("<IIIIII", 0, 3 << 24, 0, 2, 2, 1 << 30)
    types += struct.pack("<III", 1, 8 << 24, 3)
    btf = Btf(struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings)
    found = btf.find("struct a")
    assert found is not None
    assert not hasattr(found, "find") or found.find("nothing") is None
    assert btf.type(2).size == 0
    assert btf.type(3).size == 0
