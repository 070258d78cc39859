"""Checks a probe against a kernel's types without any dump: every member that it names must be there.

Every expression is evaluated once on memory in which all pointers lead somewhere; what then stays unknown is unknown
for want of a type or a member.
"""

from __future__ import annotations

from kbmatch.collectors.probes.evaluator import Budget, Evaluator
from kbmatch.collectors.probes.value import Unknown, Value
from kbmatch.collectors.types.catalogue import TypeCatalogue, UnknownType
from kbmatch.collectors.types.model import S32, U64, Array, CType, Pointer, Struct
from kbmatch.engine.expression import Expression
from kbmatch.engine.probe import Probe, Step

_SOMEWHERE = 0xFFFF888000001000


class _Everywhere:
    """Memory in which every word is a pointer to itself."""

    def read(self, address: int, length: int) -> bytes:
        word = _SOMEWHERE.to_bytes(8, "little")
        return (word * (length // 8 + 2))[address & 7 :][:length]

    def address(self, name: str) -> int | None:
        return _SOMEWHERE

    def per_cpu_offset(self, cpu: int) -> int | None:
        return 0


def type_problems(probe: Probe, types: TypeCatalogue) -> list[str]:
    """What the types do not know of the probe's expressions, one line each; empty if all is well."""
    check = _Check(types)
    for root in probe.roots:
        check.bind("p", root.type_name)
        for expression in (root.where, root.yields):
            check.evaluate(expression, f"root {root.type_name}")
    for walk in probe.walks:
        for step in walk.steps:
            check.step(step)
        check.evaluate(walk.yields, "yields")
    check.machine.variables.clear()
    check.bind(probe.variable, probe.type_name)
    for field in probe.record:
        if field.counter is not None:
            check.machine.variables[field.counter] = Value(S32, 0)
        for number, expression in enumerate((field.expression, *field.others)):
            before = len(check.problems)
            check.evaluate(expression, field.name, text=field.type == "text")
            if len(check.problems) == before:
                del check.problems[before - number :]  # one of several ways is enough
                break
    return check.problems


class _Check:
    def __init__(self, types: TypeCatalogue) -> None:
        everywhere = _Everywhere()
        self.machine = Evaluator(types, everywhere, everywhere, Budget())
        self.problems: list[str] = []

    def bind(self, variable: str, type_name: str) -> None:
        try:
            type_ = self.machine.types.resolve(type_name)
            if isinstance(type_, Struct) and type_.known_size is None and not type_.members:
                raise UnknownType(type_name)
        except UnknownType as error:
            self.problems.append(f"{variable}: {error}")
            return
        self.machine.variables[variable] = Value(Pointer(type_), _SOMEWHERE)

    def evaluate(self, expression: Expression | None, where: str, *, text: bool = False) -> Value | None:
        if expression is None:
            return None
        try:
            if text:
                self.machine.text(expression)
                return None
            value = self.machine.evaluate(expression)
            return value if isinstance(value.type, (Struct, Array)) else self.machine.load(value)
        except Unknown as error:
            self.problems.append(f"{where}: {error}")
            return None

    def step(self, step: Step) -> None:
        value = self.evaluate(step.expression, f"{step.kind} {step.variable}")
        self.evaluate(step.count, f"count of {step.variable}")
        if step.kind == "net-devices":
            self.bind(step.variable, "struct net_device")
        elif step.kind == "list":
            self.bind(step.variable, step.type_name or "")
            type_ = self.machine.types.find(step.type_name or "")
            if isinstance(type_, Struct) and type_.find(step.member or "") is None:
                self.problems.append(f"{step.type_name} has no member {step.member}")
        elif step.kind in ("cpus", "range"):
            self.machine.variables[step.variable] = Value(S32, 0)
        elif value is not None:
            self.machine.variables[step.variable] = self._element(value) if step.kind == "array" else value
        self.evaluate(step.where, f"where of {step.variable}")

    @staticmethod
    def _element(value: Value) -> Value:
        type_: CType = value.type
        if isinstance(type_, Array):
            return Value(Pointer(type_.element), _SOMEWHERE)
        return Value(type_, _SOMEWHERE) if isinstance(type_, Pointer) else Value(U64, _SOMEWHERE)
