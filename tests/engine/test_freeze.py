"""Freeze files: what kbmatch signature prints is read back as the same incident; what breaks the contract is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.collectors.identify import identify
from kbmatch.engine.contract import incident_to_json
from kbmatch.engine.errors import FreezeError
from kbmatch.engine.freeze import incident_from_json
from kbmatch.engine.incident import Incident, Kernel, Machine, Note, ProbeState, Source, StateRecord
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.signature import Culprit, Frame, HungTask, Instruction, Signature

U64 = st.integers(0, (1 << 64) - 1)
TEXT = st.text(max_size=20)
NAME = st.none() | TEXT
FRAME = st.builds(Frame, TEXT, TEXT, st.none() | U64, st.none() | U64, st.none() | TEXT, st.booleans())
EVENT = st.builds(
    Signature,
    kind=st.sampled_from(KINDS),
    message=TEXT,
    fatal=st.booleans(),
    line=st.none() | st.integers(1, 10**9),
    time=st.none() | st.floats(0, 1e9),
    release=NAME,
    cpu=st.none() | U64,
    pid=st.none() | U64,
    comm=NAME,
    context=st.sampled_from(["softirq", "irq", "nmi", "task", "unknown"]),
    symbol=NAME,
    printed=NAME,
    offset=st.none() | U64,
    size=st.none() | U64,
    module=NAME,
    culprit=st.none() | st.builds(Culprit, TEXT, NAME),
    address=st.none() | U64,
    access=st.sampled_from([None, "read", "write", "exec"]),
    registers=st.dictionaries(TEXT, st.none() | U64, max_size=3),
    code=NAME,
    instruction=st.none() | st.builds(Instruction, TEXT, NAME, st.none() | st.integers(-100, 100), st.none()),
    source_line=NAME,
    tasks=st.tuples() | st.tuples(st.builds(HungTask, NAME, st.none() | U64, st.none() | U64, st.tuples(FRAME))),
    trace=st.lists(FRAME, max_size=2).map(tuple),
)
RECORD = st.builds(
    StateRecord, st.none() | U64, st.dictionaries(TEXT, U64 | TEXT, max_size=3), st.dictionaries(TEXT, U64, max_size=3)
)
INCIDENT = st.builds(
    Incident,
    source=st.builds(Source, TEXT, TEXT, U64),
    kernel=st.builds(
        Kernel, NAME, NAME, NAME, NAME, NAME, NAME, NAME, NAME, st.none() | st.lists(TEXT).map(tuple),
        st.none() | st.booleans(), st.none() | U64, st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
    ),
    machine=st.builds(Machine, NAME, NAME, st.none() | U64, NAME),
    events=st.lists(EVENT, max_size=3).map(tuple),
    state=st.dictionaries(
        TEXT, st.builds(ProbeState, st.booleans(), TEXT, st.lists(RECORD, max_size=2).map(tuple), NAME), max_size=2
    ),
    notes=st.lists(st.builds(Note, st.sampled_from(["info", "warning", "error"]), TEXT), max_size=2).map(tuple),
)  # fmt: skip


@given(INCIDENT)
def test_a_freeze_file_gives_the_same_incident_again(incident: Incident) -> None:
    text = json.dumps(incident_to_json(incident))
    assert identify(text.encode(), len(text)) == "freeze"
    assert incident_from_json(text) == incident


def frozen() -> dict[str, object]:
    event = Signature("null-deref", "BUG", registers={"rax": 1})
    return incident_to_json(Incident(Source("a.log", "console", 3), events=(event,)))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["events", 0, "kind"], "explosion", "$.events[0].kind"),
        (["events", 0, "address"], -1, "$.events[0].address"),
        (["events", 0, "address"], 1 << 64, "$.events[0].address"),
        (["events", 0, "registers"], [], "$.events[0].registers"),
        (["events", 0, "registers", "rax"], "1", "$.events[0].registers.rax"),
        (["events", 0, "fatal"], None, "$.events[0].fatal"),
        (["events"], {}, "$.events"),
        (["kernel"], None, "$.kernel"),
        (["source", "bytes"], True, "$.source.bytes"),
        (["state"], {"p": {"complete": True, "origin": "m", "why": None, "records": [3]}}, "$.state.p.records[0]"),
        (["schema"], "kbmatch.signature/9", "$.schema"),
    ],
)
def test_what_breaks_the_contract_is_named(path: list[str | int], value: object, named: str) -> None:
    found = frozen()
    place: object = found
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    with pytest.raises(FreezeError) as error:
        incident_from_json(json.dumps(found))
    assert str(error.value).startswith(named)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "[" * 100_000, "{} {}"])
def test_what_is_no_json_object_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(FreezeError) as error:
        incident_from_json(text)
    assert "\n" not in str(error.value)
