"""Finds a probe's records: by registers of the crashed context, and by walks of lists, arrays and net devices.

Everything is bounded and every bound that was hit is told: a list that bites its tail, a pointer into nowhere, a
count that makes no sense.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kbmatch.collectors.probes.evaluator import Evaluator, Exhausted
from kbmatch.collectors.probes.value import Unknown, Value
from kbmatch.collectors.types.model import S32, VOID_POINTER, Array, Pointer, Struct
from kbmatch.engine.expression import Expression, Name, Unary
from kbmatch.engine.probe import Probe, RegisterRoot, Step, WalkRoot
from kbmatch.engine.values import dataclass, field

MAX_RECORDS = 1024
MAX_ELEMENTS = 1 << 16
MAX_CPUS = 8192


@dataclass(slots=True)
class Found:
    """Records by address, in the order found, each with the register that led to it; `gaps` says what is missing."""

    records: dict[int, str | None] = field(default_factory=dict)
    gaps: dict[str, None] = field(default_factory=dict)
    walked: bool = False

    @property
    def crashed(self) -> list[tuple[int, str]]:
        """The records that registers of the crashed context led to."""
        return [(address, register) for address, register in self.records.items() if register is not None]


def find_records(probe: Probe, evaluator: Evaluator, registers: Mapping[str, int | None], arch: str) -> Found:
    """All records that the probe's roots lead to. Never raises."""
    found = Found()
    for root in probe.roots:
        for name in root.registers.get(arch, ()):
            value = registers.get(name)
            if value is not None:
                _follow_register(root, name, value, evaluator, found)
    walked = bool(probe.walks)
    for walk in probe.walks:
        try:
            for address in _walk(walk, 0, evaluator, found):
                found.records.setdefault(address, None)
                if len(found.records) >= MAX_RECORDS:
                    raise Exhausted(f"more than {MAX_RECORDS} records")
        except Unknown as error:
            found.gaps[str(error)] = None
    found.walked = walked and not found.gaps
    return found


def _follow_register(root: RegisterRoot, name: str, value: int, evaluator: Evaluator, found: Found) -> None:
    """Note the record that a register leads to if the guard is true; an unknown guard guards nothing."""
    if root.yields is None or root.where is None:
        return
    try:
        pointer = evaluator.types.resolve(f"{root.type_name} *") if root.type_name else VOID_POINTER
        evaluator.variables["p"] = Value(pointer, value)
        if evaluator.holds(root.where):
            record = evaluator.scalar(root.yields).number
            if record is not None:
                found.records.setdefault(record, name)
    except Unknown as error:
        if "not in this dump" in str(error):
            found.gaps[f"register {name}: {error}"] = None
    finally:
        evaluator.variables.pop("p", None)


def _walk(walk: WalkRoot, number: int, evaluator: Evaluator, found: Found) -> Iterator[int]:
    """Addresses of the records that the steps from `number` on lead to. Raises Unknown."""
    if number == len(walk.steps):
        record = evaluator.scalar(walk.yields).number
        if record is not None:
            yield record
        return
    step = walk.steps[number]
    for value in _objects(step, evaluator, found):
        evaluator.variables[step.variable] = value
        try:
            if step.where is None or evaluator.holds(step.where):
                yield from _walk(walk, number + 1, evaluator, found)
        except Exhausted:
            raise
        except Unknown as error:
            found.gaps[str(error)] = None  # one object is not known: the others still are
        finally:
            evaluator.variables.pop(step.variable, None)


def _objects(step: Step, evaluator: Evaluator, found: Found) -> Iterator[Value]:
    if step.kind == "net-devices":
        yield from _net_devices(evaluator, found)
    elif step.kind == "cpus":
        yield from _cpus(evaluator)
    elif step.kind == "list":
        assert step.expression is not None
        head = _address(step.expression, evaluator)
        yield from _list(head, step.type_name or "", step.member or "", evaluator, found)
    elif step.kind == "range":
        assert step.expression is not None
        count = evaluator.scalar(step.expression).number or 0
        if not 0 <= count <= MAX_ELEMENTS:
            raise Unknown(f"{count} elements make no sense")
        for number in range(count):
            evaluator.budget.step()
            yield Value(S32, number)
    elif step.kind == "array":
        yield from _array(step, evaluator)
    else:
        assert step.expression is not None
        yield evaluator.scalar(step.expression)


def _address(expression: Expression, evaluator: Evaluator) -> int:
    """The address of a list_head that an expression names, or points to."""
    value = evaluator.evaluate(expression)
    if isinstance(value.type, Struct) and value.address is not None:
        return value.address
    number = evaluator.load(value).number
    if not number:
        raise Unknown("no list there")
    return number


def _list(head: int, type_name: str, member: str, evaluator: Evaluator, found: Found) -> Iterator[Value]:
    """The elements of a struct list_head (include/linux/types.h: next, prev). Raises Unknown."""
    type_ = evaluator.types.resolve(type_name) if evaluator.types.find(type_name) else None
    place = type_.find(member) if isinstance(type_, Struct) else None
    if type_ is None or place is None:
        raise Unknown(f"the type {type_name} is not known")
    pointer = Pointer(type_)
    seen = {head}
    at = _next(head, evaluator)
    while at != head:
        if at in seen or len(seen) > MAX_ELEMENTS:
            what = "bites its tail" if at in seen else f"has more than {MAX_ELEMENTS} elements"
            found.gaps[f"the list at 0x{head:x} {what}"] = None
            return
        seen.add(at)
        yield Value(pointer, at - place.offset & (1 << 64) - 1)
        at = _next(at, evaluator)


def _next(at: int, evaluator: Evaluator) -> int:
    evaluator.budget.step()
    return int.from_bytes(evaluator.read(at, 8), "little")


def _array(step: Step, evaluator: Evaluator) -> Iterator[Value]:
    assert step.expression is not None
    assert step.count is not None
    base = evaluator.evaluate(step.expression)
    count = evaluator.scalar(step.count).number or 0
    if isinstance(base.type, Array) and base.address is not None:
        element, start = base.type.element, base.address
        count = min(count, base.type.count) if base.type.count else count
    else:
        loaded = evaluator.load(base)
        if not isinstance(loaded.type, Pointer) or loaded.number is None:
            raise Unknown("no array")
        element, start = loaded.type.target, loaded.number
    element = evaluator.types.complete(element)
    if count and (not element.size or not start):
        raise Unknown(f"the array at 0x{start:x} cannot be walked")
    if not 0 <= count <= MAX_ELEMENTS:
        raise Unknown(f"{count} elements make no sense")
    pointer = Pointer(element)
    for number in range(count):
        evaluator.budget.step()
        yield Value(pointer, start + number * element.size)


def _net_devices(evaluator: Evaluator, found: Found) -> Iterator[Value]:
    """All struct net_device: net/core/dev.c, net/core/net_namespace.c (net.dev_base_head, net_device.dev_list)."""
    heads: list[int] = []
    try:
        namespaces = evaluator.evaluate(Name("net_namespace_list")).address or 0
        listed = _list(namespaces, "struct net", "list", evaluator, found)
    except Unknown:
        listed = iter((evaluator.evaluate(Unary("&", Name("init_net"))),))
    net = evaluator.types.find("struct net")
    place = net.find("dev_base_head") if isinstance(net, Struct) else None
    for namespace in listed:
        if place is None:
            raise Unknown("the type struct net is not known")
        heads.append((namespace.number or namespace.address or 0) + place.offset)
    for head in heads:
        yield from _list(head, "struct net_device", "dev_list", evaluator, found)


def _cpus(evaluator: Evaluator) -> Iterator[Value]:
    """Numbers of the possible CPUs: include/linux/cpumask.h."""
    mask = evaluator.evaluate(Name("__cpu_possible_mask")).address or 0
    try:
        limit = evaluator.evaluate(Name("nr_cpu_ids")).address or 0
        count = min(int.from_bytes(evaluator.read(limit, 4), "little"), MAX_CPUS)
    except Unknown:
        count = 64
    bits = int.from_bytes(evaluator.read(mask, max(-(-count // 64), 1) * 8), "little")
    for cpu in range(count):
        if bits >> cpu & 1:
            yield Value(S32, cpu)
