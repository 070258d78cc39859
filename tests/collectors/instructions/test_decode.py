"""The faulting instruction, from Code: lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.collectors.instructions.decode import decode_fault
from kbmatch.engine.signature import Instruction


@pytest.mark.parametrize(
    ("code", "arch", "registers", "address", "expected"),
    [
        (
            "98 01 <8b> 7b 2c 85 ff",
            "x86_64",
            {"rbx": 0},
            44,
            Instruction("mov edi, dword ptr [rbx + 0x2c]", "rbx", 44, True),
        ),
        ("<8b> 7b 2c", "x86_64", {"rbx": 16}, 44, Instruction("mov edi, dword ptr [rbx + 0x2c]", "rbx", 44, False)),
        ("<8b> 7b 2c", "x86_64", {}, 44, Instruction("mov edi, dword ptr [rbx + 0x2c]", "rbx", 44, None)),
        ("<8b> 7b 2c", "x86_64", {"rbx": 0}, None, Instruction("mov edi, dword ptr [rbx + 0x2c]", "rbx", 44, None)),
        (
            "<48> 8b 44 ca f8",
            "x86_64",
            {"rdx": 0x1000, "rcx": 2},
            0x1008,
            Instruction("mov rax, qword ptr [rdx + rcx*8 - 8]", "rdx", -8, True),
        ),
        ("<8b> 40 14", "i386", {"eax": 0}, 20, Instruction("mov eax, dword ptr [eax + 0x14]", "eax", 20, True)),
        (
            "d2800020 (b9000801)",
            "aarch64",
            {"x0": 0},
            8,
            Instruction("str w1, [x0, #8]", "x0", 8, True),
        ),
        ("<0f> 0b", "x86_64", {}, None, Instruction("ud2")),
        (
            "<65> 48 8b 04 25 28 00 00 00",
            "x86_64",
            {},
            0x28,
            Instruction("mov rax, qword ptr gs:[0x28]", None, 0x28, None),
        ),
        ("<e8> ea ff ff ff", "x86_64", {}, None, Instruction("call .-0x11")),
        ("<e8> ea ff ff ff", "x86_64", {"rsp": 0x1000}, 0xFF8, Instruction("call .-0x11", "rsp", -8, True)),
        ("<53>", "x86_64", {"rsp": 0x1000}, 0xFF8, Instruction("push rbx", "rsp", -8, True)),
        ("<53>", "x86_64", {"rsp": 0x1000}, 0x10, Instruction("push rbx")),
        ("8b 7b 2c", "x86_64", {}, None, None),
        ("<8b> 7b 2c", "s390x", {}, None, None),
        ("", "aarch64", {}, None, None),
    ],
)
def test_operand(
    code: str, arch: str, registers: dict[str, int | None], address: int | None, expected: Instruction | None
) -> None:
    found = decode_fault(code, arch, registers, address)
    if expected and found and "gs:" in expected.text:
        assert (found.displacement, found.explains_address) == (expected.displacement, None)
    else:
        assert found == expected


def test_a_string_copy_names_the_operand_that_faulted() -> None:
    found = decode_fault("<f3> a4", "x86_64", {"rsi": 0x10, "rdi": 0x2000, "rcx": 5}, 0x10)
    assert found is not None
    assert (found.base, found.explains_address) == ("rsi", True)


@given(st.text(alphabet="0123456789abcdef <>()", max_size=120), st.sampled_from(["x86_64", "i386", "aarch64", "mips"]))
def test_damaged_lines_never_raise(code: str, arch: str) -> None:
    decode_fault(code, arch, {"rax": None}, 0)
