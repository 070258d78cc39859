"""The library called directly says what capstone's module says, and where it cannot be used the module is."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from kbmatch.collectors.instructions import capstone_library, decode
from kbmatch.collectors.instructions.capstone_library import open_library

_LEGACY = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
NAMES = {
    "x86_64": [*(f"r{name}" for name in _LEGACY), *(f"r{number}" for number in range(8, 16))],
    "i386": [f"e{name}" for name in _LEGACY],
}
OFTEN = (0x48, 0x8B, 0x89, 0x65, 0x66, 0x0F, 0xFF, 0xE8, 0x41, 0xF3)
FOUND = {"instructions": 0, "memory": 0}


def agree(arch: str, raw: bytes, registers: dict[str, int], address: int) -> None:
    library = open_library(64 if arch == "x86_64" else 32)
    assert library is not None
    expected = decode._decode_by_module(raw, arch, registers, address)
    decoded = library.decode(raw)
    found = None if decoded is None else decode._judge_x86(decoded, arch, registers, address)
    if expected is None or found is None:
        assert expected == found, raw.hex()
        return
    FOUND["instructions"] += 1
    FOUND["memory"] += expected.displacement is not None
    assert (found.text, found.explains_address) == (expected.text, expected.explains_address), raw.hex()
    if found.base != expected.base:  # an index alone is printed as a base is
        assert expected.base is None
        assert f"[{found.base} " in found.text or f"[{found.base}]" in found.text
    if found.displacement != expected.displacement:  # a 32-bit address: signed or not
        assert expected.displacement is not None
        assert found.displacement is not None
        assert (found.displacement - expected.displacement) % 2**32 == 0


def test_both_ways_agree_on_20000_random_instructions() -> None:
    rng = random.Random(11)
    for number in range(20_000):
        arch = ("x86_64", "x86_64", "i386")[number % 3]
        raw = rng.randbytes(15)
        if number % 2:
            raw = bytes([rng.choice(OFTEN)]) + raw[1:]
        bits = 64 if arch == "x86_64" else 32
        registers = {name: rng.getrandbits(bits) for name in NAMES[arch]}
        agree(arch, raw, registers, rng.choice((0x2C, registers[NAMES[arch][0]])))
    assert FOUND["instructions"] > 15_000
    assert FOUND["memory"] > 5_000


def test_both_ways_agree_on_the_code_lines_of_real_crashes(shared: Path) -> None:
    pattern = re.compile(r"Code:\s((?:[0-9a-f]{2} )*<[0-9a-f]{2}>(?: [0-9a-f]{2})*)")
    lines = {
        code
        for path in (shared / "corpus").rglob("*.log")
        for code in pattern.findall(path.read_text(errors="replace"))
    }
    assert len(lines) > 100
    for code in lines:
        raw = decode.faulting_bytes(code, "x86_64")
        assert raw is not None
        agree("x86_64", raw, dict.fromkeys(NAMES["x86_64"], 0x10), 0x3C)


@pytest.mark.parametrize("why", ["another version", "no package", "no library"])
def test_another_capstone_is_used_through_its_module(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_library.cache_clear()
    if why == "another version":
        monkeypatch.setattr(capstone_library, "_MAJOR", 99)
    elif why == "no package":
        monkeypatch.setattr(capstone_library.PathFinder, "find_spec", lambda name: None)
    else:
        monkeypatch.setattr(capstone_library.os.path, "join", lambda *parts: "/nowhere/libcapstone.so")
    assert open_library(64) is None
    found = decode.decode_fault("<8b> 7b 2c", "x86_64", {"rbx": 0}, 0x2C)
    monkeypatch.undo()
    open_library.cache_clear()
    assert found == decode.decode_fault("<8b> 7b 2c", "x86_64", {"rbx": 0}, 0x2C)
    assert found is not None
    assert found.text == "mov edi, dword ptr [rbx + 0x2c]"


@pytest.mark.parametrize("code", ["<9a> 6a a6 e2 08 95 c7", "<66> ea 25 bc 46 0a f9 8e"])
def test_a_far_call_of_two_numbers_is_no_relative_jump(code: str) -> None:
    found = decode.decode_fault(code, "i386", {}, None)
    assert found is not None
    assert found.text.startswith(("lcall 0x", "ljmp 0x"))
