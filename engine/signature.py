"""Signature: the facts of one crash event, as the kernel reported it.

Unknown is None, never 0 or "". Integers are unsigned 64-bit. The meaning of every field is DESIGN.md's
"Signature JSON"; the field names are its keys, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping

from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a call trace.

    `symbol` has the compiler's and tracers' decorations stripped, `printed` is the line as logged, and `offset`
    and `size` (bytes) belong to `printed`. `module` is "" where the frame was printed without a tag, None where
    the source does not tell. `reliable` is False for frames printed with "?" and for those found by a stack scan.
    """

    symbol: str
    printed: str
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    reliable: bool = True


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first frame that is no helper: the function to blame, and its module ("" = kernel proper)."""

    symbol: str
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """The faulting instruction, decoded from the Code: line.

    `base` is the base register of the operand that faulted and `displacement` (signed) its constant part.
    `explains_address` says whether base + index * scale + displacement is the faulting address; None where
    registers or address are not known.
    """

    text: str
    base: str | None = None
    displacement: int | None = None
    explains_address: bool | None = None


@dataclass(frozen=True, slots=True)
class HungTask:
    """A task that the kernel reported as blocked: its name, pid, the seconds printed, its own trace."""

    comm: str | None = None
    pid: int | None = None
    seconds: int | None = None
    trace: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """The facts of one crash event.

    `lines` says on which line (1-based) a fact stood, by field name, where that is not `line`, the event's head.
    `text` is the event's own lines as the kernel printed them, `modules` the names behind "Modules linked in:", `locks`
    where lockdep says that a lock was taken: the one at hand, with what is inlined there, then those already held.
    `module_taints` maps a module of that line to the letters printed behind it ("OE"), where there are any.
    These five are no part of the JSON contract.
    """

    kind: str
    message: str
    fatal: bool = False
    line: int | None = None
    time: float | None = None
    release: str | None = None
    cpu: int | None = None
    pid: int | None = None
    comm: str | None = None
    context: str = "unknown"
    symbol: str | None = None
    printed: str | None = None
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    culprit: Culprit | None = None
    address: int | None = None
    access: str | None = None
    registers: Mapping[str, int | None] = field(default_factory=dict)
    code: str | None = None
    instruction: Instruction | None = None
    source_line: str | None = None
    tasks: tuple[HungTask, ...] = ()
    trace: tuple[Frame, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    text: tuple[str, ...] | None = field(default=None, compare=False)
    modules: tuple[str, ...] | None = field(default=None, compare=False)
    module_taints: Mapping[str, str] | None = field(default=None, compare=False)
    locks: tuple[Frame, ...] = field(default=(), compare=False)
