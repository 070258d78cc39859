"""Parses the C expressions of probes into the engine's trees, with pycparser.

Casts need type names: the kernel's usual typedefs are declared in front, and others must be written "struct x *".
Three of the kernel's macros may be used as if they were functions: container_of(pointer, type, member)
(include/linux/container_of.h), per_cpu(variable, cpu) (include/linux/percpu-defs.h) and netdev_priv(device)
(include/linux/netdevice.h: what follows struct net_device, aligned to NETDEV_ALIGN, which is 32).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kbmatch.engine.expression import (
    Binary,
    Cast,
    Expression,
    Index,
    Member,
    Name,
    Number,
    OffsetOf,
    PerCpu,
    SizeOf,
    Unary,
)

TYPEDEFS: tuple[str, ...] = (
    "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16", "__u32", "__u64", "__le16", "__le32",
    "__le64", "__be16", "__be32", "__be64", "bool", "size_t", "ssize_t", "gfp_t", "pid_t", "dma_addr_t", "phys_addr_t",
    "atomic_t", "atomic64_t", "spinlock_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "uintptr_t", "RING_IDX",
    "grant_ref_t", "evtchn_port_t",
)  # fmt: skip
"""Typedefs of include/linux/types.h, include/uapi/linux/types.h and include/xen/interface/io/ring.h (Linux 6.1)."""

MAX_LENGTH = 500
_BINARY = frozenset(["+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^", "&&", "||", "==", "!=", "<", "<=", ">", ">="])
_UNARY = frozenset(["&", "*", "-", "~", "!", "+"])


class ExpressionError(ValueError):
    """The text is no expression that probes may use; the message says why."""


@lru_cache(maxsize=1)
def _parser() -> Any:
    from pycparser.c_parser import CParser

    return CParser()


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """The tree of a C expression. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters")
    if any(mark in text for mark in ";{}#"):
        raise ExpressionError("one expression, no statements")
    declared = "".join(f"typedef int {name};" for name in TYPEDEFS)
    source = f"{declared}\nint probe = ({_without_container_of(text)}\n);"
    try:
        tree = _parser().parse(source)
        if len(tree.ext) != len(TYPEDEFS) + 1:
            raise ExpressionError("one expression, no statements")
        return _convert(tree.ext[-1].init)
    except ExpressionError:
        raise
    except RecursionError as error:
        raise ExpressionError("nested too deep") from error
    except Exception as error:  # pycparser raises its own ParseError, and AssertionError or AttributeError on odd input
        raise ExpressionError(f"not a C expression: {error}") from error


def _convert(node: Any) -> Expression:
    kind = type(node).__name__
    if kind == "Constant" and node.type != "string":
        return Number(_constant(node.value))
    if kind == "ID":
        return Name(str(node.name))
    if kind == "StructRef":
        return Member(_convert(node.name), str(node.field.name), node.type == "->")
    if kind == "ArrayRef":
        return Index(_convert(node.name), _convert(node.subscript))
    if kind == "UnaryOp" and node.op == "sizeof" and type(node.expr).__name__ == "Typename":
        return SizeOf(_type_name(node.expr))
    if kind == "FuncCall":
        return _call(node)
    if kind == "UnaryOp" and node.op in _UNARY:
        return Unary(node.op, _convert(node.expr))
    if kind == "BinaryOp" and node.op in _BINARY:
        return Binary(node.op, _convert(node.left), _convert(node.right))
    if kind == "Cast":
        return Cast(_type_name(node.to_type), _convert(node.expr))
    names = {"Assignment": "an assignment", "TernaryOp": "?:"}
    raise ExpressionError(f"{names.get(kind, kind)} is not allowed here")


def _call(node: Any) -> Expression:
    name = node.name.name if type(node.name).__name__ == "ID" else ""
    arguments = list(node.args.exprs) if node.args is not None else []
    if name == "offsetof" and len(arguments) == 2:
        path = _path(_convert(arguments[1]))
        return OffsetOf(_type_name(arguments[0]), path)
    if name == _CONTAINER_OF and len(arguments) == 3:
        pointer, cast, offset = (_convert(argument) for argument in arguments)
        assert isinstance(cast, Cast)
        return Cast(cast.type_name, Binary("-", Cast("u64", pointer), offset))
    if name == "netdev_priv" and len(arguments) == 1:
        size = Binary("+", SizeOf("struct net_device"), Number(31))
        aligned = Binary("&", size, Unary("~", Number(31)))
        return Cast("void *", Binary("+", Cast("u64", _convert(arguments[0])), aligned))
    if name == "per_cpu" and len(arguments) == 2 and isinstance(variable := _convert(arguments[0]), Name):
        return PerCpu(variable.name, _convert(arguments[1]))
    raise ExpressionError("a call is not allowed here; known are container_of, per_cpu, netdev_priv, sizeof, offsetof")


def _path(expression: Expression) -> tuple[str, ...]:
    if isinstance(expression, Name):
        return (expression.name,)
    if isinstance(expression, Member):
        return (*_path(expression.base), expression.name)
    raise ExpressionError("offsetof takes a member, or members joined by dots")


_CONTAINER_OF = "__container_of"


def _without_container_of(text: str) -> str:
    """container_of(p, type, member) made a call that the C grammar knows: its second argument is a type."""
    word = "container_of("
    start = text.rfind(word)
    while start >= 0 and (start == 0 or not (text[start - 1].isalnum() or text[start - 1] == "_")):
        depth, commas, at = 1, [], start + len(word)
        while at < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if text[at] == "," and depth == 1:
                commas.append(at)
            at += 1
        if depth or len(commas) != 2:
            raise ExpressionError("write container_of(pointer, type, member)")
        pointer = text[start + len(word) : commas[0]]
        type_name, member = text[commas[0] + 1 : commas[1]].strip(), text[commas[1] + 1 : at - 1].strip()
        call = f"{_CONTAINER_OF}({pointer}, ({type_name} *)0, offsetof({type_name}, {member}))"
        text = text[:start] + call + text[at:]
        start = text.rfind(word, 0, start)
    return text


def _constant(text: str) -> int:
    if text.startswith("'"):
        raise ExpressionError("character constants are not allowed here")
    digits = text.rstrip("uUlL")
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        return int(digits, 8) if octal else int(digits, 0)
    except ValueError as error:
        raise ExpressionError(f"{text} is not a whole number") from error


def _type_name(node: Any) -> str:
    from pycparser.c_generator import CGenerator

    return " ".join(CGenerator().visit(node).split())
