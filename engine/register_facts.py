"""Facts of the register file and the decoded instruction, and the rule that binds them to one piece of compiled code.

A register means something only where it is known which compiler run laid out the function: a condition over one must
stand beside `build-id`, or beside `code` with 24 or more known bytes around the fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.engine.code_pattern import MIN_KNOWN, parse_code_pattern
from kbmatch.engine.condition import Combination, Condition, Leaf

X86_64: tuple[str, ...] = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
AARCH64: tuple[str, ...] = (*(f"x{n}" for n in range(31)), "sp")
REGISTERS: tuple[str, ...] = (*X86_64, *AARCH64)
PREFIX = "register-"


def unbound_registers(condition: Condition, bound: bool = False) -> Iterator[Leaf]:
    """The register leaves that no build id and no code pattern binds, in the order of the rule."""
    if isinstance(condition, Leaf):
        if condition.fact.startswith(PREFIX) and not bound:
            yield condition
    elif isinstance(condition, Combination):
        here = condition.combinator == "all" and any(map(_binds, condition.children))
        for child in condition.children:
            yield from unbound_registers(child, bound or here)


def _binds(condition: Condition) -> bool:
    if not isinstance(condition, Leaf) or condition.operator != "is":
        return False
    if condition.fact == "build-id":
        return True
    return condition.fact == "code" and all(
        isinstance(value, str) and parse_code_pattern(value).known >= MIN_KNOWN for value in condition.values
    )
