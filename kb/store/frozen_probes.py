"""Probes as plain JSON values and back: what the compiled knowledge base holds, so that no C is parsed in a run.

Every value of engine/expression.py and engine/probe.py becomes [class name, fields in order].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbmatch.engine import expression, layout, probe
from kbmatch.engine.layout import Layout
from kbmatch.engine.probe import Probe, ProbeHead

_CLASSES: dict[str, Any] = {
    item.__name__: item
    for item in (
        expression.Number, expression.Name, expression.Member, expression.Index, expression.Unary, expression.Binary,
        expression.Cast, expression.SizeOf, expression.OffsetOf, expression.PerCpu, probe.ProbeField,
        probe.RegisterRoot, probe.Step, probe.WalkRoot, probe.RegisterRecord, probe.MemberLayout, probe.Probe,
        probe.ProbeHead, layout.LaidMember, layout.LaidStruct, layout.Layout,
    )
}  # fmt: skip


def to_plain(value: Any) -> Any:
    """The value as JSON values: mappings as {"map": [[key, value], ...]}, tuples as {"tuple": [...]}."""
    if type(value).__name__ in _CLASSES:
        return [type(value).__name__, *(to_plain(getattr(value, name)) for name in value.__match_args__)]
    if isinstance(value, Mapping):
        return {"map": [[to_plain(k), to_plain(v)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [to_plain(item) for item in value]}
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return _CLASSES[value[0]](*map(_from_plain, value[1:]))
    if isinstance(value, dict):
        if "map" in value:
            return {_from_plain(k): _from_plain(v) for k, v in value["map"]}
        return tuple(map(_from_plain, value["tuple"]))
    return value


def probe_of_plain(value: Any) -> Probe:
    """The probe that `to_plain` made the value of."""
    found = _from_plain(value)
    assert isinstance(found, Probe)
    return found


def layout_of_plain(value: Any) -> Layout:
    """The layout that `to_plain` made the value of."""
    found = _from_plain(value)
    assert isinstance(found, Layout)
    return found


def head_of_plain(value: Any) -> ProbeHead:
    """The probe head that `to_plain` made the value of."""
    found = _from_plain(value)
    assert isinstance(found, ProbeHead)
    return found
