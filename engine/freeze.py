"""Reads a freeze file: the signature JSON that `kbmatch signature` printed, as an Incident again.

Every value is checked against the contract, since such a file may come from anywhere; errors name the JSON path.
What the contract does not carry (source lines of single facts, why a record's value is missing) is gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from kbmatch.engine.contract import DIAGNOSIS_SCHEMA, SIGNATURE_SCHEMA
from kbmatch.engine.errors import FreezeError
from kbmatch.engine.incident import Incident, Kernel, Machine, Note, ProbeState, Source, StateRecord
from kbmatch.engine.kinds import ACCESSES, CONTEXTS, KINDS, LEVELS
from kbmatch.engine.signature import Culprit, Frame, HungTask, Instruction, Signature

U64 = (1 << 64) - 1
MAX_ITEMS = 100_000
_HEX = re.compile(r"0x[0-9a-f]{1,16}")

T = TypeVar("T")


def incident_from_json(data: bytes | str) -> Incident:
    """The incident of a freeze file. Raises FreezeError with the JSON path of what breaks the contract."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno} column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested"
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            raise FreezeError(f"more than one JSON object ({where}): kbmatch core takes one crash at a time") from error
        raise FreezeError(f"not JSON ({where}): {error}") from error
    root = _Object(found, "$")
    schema = root.text("schema")
    if schema not in (SIGNATURE_SCHEMA, DIAGNOSIS_SCHEMA):
        raise FreezeError(f"$.schema: {schema!r} is not {SIGNATURE_SCHEMA!r}: made by another version of kbmatch?")
    source = root.object("source")
    return Incident(
        source=Source(source.text("path"), source.text("format"), source.number("bytes")),
        kernel=_kernel(root.object("kernel")),
        machine=_machine(root.object("machine")),
        events=tuple(root.each("events", _event)),
        state={name: _state(_Object(value, f"$.state.{name}")) for name, value in root.object("state").items()},
        notes=tuple(root.each("notes", lambda o: Note(o.one_of("level", LEVELS), o.text("text")))),
    )


class _Object:
    """One JSON object with its path; every getter checks the type."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise FreezeError(f"{path}: must be an object")
        self._value = value
        self._path = path

    def items(self) -> list[tuple[str, Any]]:
        return list(self._value.items())

    def _wrong(self, key: str, wanted: str) -> FreezeError:
        return FreezeError(f"{self._path}.{key}: must be {wanted}")

    def object(self, key: str) -> _Object:
        return _Object(self._value.get(key), f"{self._path}.{key}")

    def each(self, key: str, make: Callable[[_Object], T]) -> list[T]:
        value = self._value.get(key)
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise self._wrong(key, f"a list of at most {MAX_ITEMS}")
        return [make(_Object(item, f"{self._path}.{key}[{i}]")) for i, item in enumerate(value)]

    def text(self, key: str) -> str:
        value = self._value.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def text_or_none(self, key: str) -> str | None:
        return None if self._value.get(key) is None else self.text(key)

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}")
        return value

    def number(self, key: str, lowest: int = 0) -> int:
        value = self._value.get(key)
        if type(value) is not int or not lowest <= value <= U64:
            raise self._wrong(key, "a whole number of 64 bits")
        return value

    def number_or_none(self, key: str, lowest: int = 0) -> int | None:
        return None if self._value.get(key) is None else self.number(key, lowest)

    def time(self, key: str) -> float | None:
        value = self._value.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(key, "a number")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._value.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def flag_or_none(self, key: str) -> bool | None:
        return None if self._value.get(key) is None else self.flag(key)

    def texts_or_none(self, key: str) -> tuple[str, ...] | None:
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of strings")
        return tuple(value)

    def address(self, key: str) -> int:
        value = self._value.get(key)
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise self._wrong(key, 'an address like "0xffff8880"')
        return int(value, 16)


def _kernel(o: _Object) -> Kernel:
    return Kernel(
        o.text_or_none("release"), o.text_or_none("version"), o.text_or_none("arch"), o.text_or_none("product"),
        o.text_or_none("stream"), o.text_or_none("package_version"), o.text_or_none("upstream_base"),
        o.text_or_none("build_id"), o.texts_or_none("taint"), o.flag_or_none("livepatched"),
        o.number_or_none("kaslr_offset"), o.number_or_none("phys_base", -(1 << 63)),
    )  # fmt: skip


def _machine(o: _Object) -> Machine:
    return Machine(
        o.text_or_none("hardware"),
        o.text_or_none("hypervisor"),
        o.number_or_none("cpus"),
        o.text_or_none("hostname"),
    )


def _frame(o: _Object) -> Frame:
    return Frame(
        o.text("symbol"), o.text("printed"), o.number_or_none("offset"), o.number_or_none("size"),
        o.text_or_none("module"), o.flag("reliable"),
    )  # fmt: skip


def _task(o: _Object) -> HungTask:
    return HungTask(
        o.text_or_none("comm"),
        o.number_or_none("pid"),
        o.number_or_none("seconds"),
        tuple(o.each("trace", _frame)),
    )


def _instruction(o: _Object) -> Instruction:
    return Instruction(
        o.text("text"),
        o.text_or_none("base"),
        o.number_or_none("displacement", -(1 << 63)),
        o.flag_or_none("explains_address"),
    )


def _event(o: _Object) -> Signature:
    culprit = None if o._value.get("culprit") is None else o.object("culprit")
    instruction = None if o._value.get("instruction") is None else o.object("instruction")
    registers = o.object("registers")
    access = o.text_or_none("access")
    if access is not None:
        o.one_of("access", ACCESSES)
    return Signature(
        kind=o.one_of("kind", KINDS), message=o.text("message"), fatal=o.flag("fatal"), line=o.number_or_none("line"),
        time=o.time("time"), release=o.text_or_none("release"), cpu=o.number_or_none("cpu"),
        pid=o.number_or_none("pid"), comm=o.text_or_none("comm"), context=o.one_of("context", CONTEXTS),
        symbol=o.text_or_none("symbol"), printed=o.text_or_none("printed"), offset=o.number_or_none("offset"),
        size=o.number_or_none("size"), module=o.text_or_none("module"),
        culprit=Culprit(culprit.text("symbol"), culprit.text_or_none("module")) if culprit else None,
        address=o.number_or_none("address"), access=access,
        registers={name: registers.number_or_none(name) for name, _ in registers.items()},
        code=o.text_or_none("code"),
        instruction=_instruction(instruction) if instruction else None,
        source_line=o.text_or_none("source_line"), tasks=tuple(o.each("tasks", _task)),
        trace=tuple(o.each("trace", _frame)),
    )  # fmt: skip


def _state(o: _Object) -> ProbeState:
    return ProbeState(o.flag("complete"), o.text("origin"), tuple(o.each("records", _record)), o.text_or_none("why"))


def _record(o: _Object) -> StateRecord:
    values = o.object("values")
    kept = {
        name: values.text(name) if isinstance(value, str) else values.number(name, -(1 << 63))
        for name, value in values.items()
    }
    addresses = o.object("addresses")
    at = None if o._value.get("at") is None else o.address("at")
    return StateRecord(at, kept, {name: addresses.address(name) for name, _ in addresses.items()})
