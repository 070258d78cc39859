"""Facts that rules read beyond the JSON contract: an event's own lines, modules, the command line, the whole log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.condition import AnyTask, Combination, Condition, Leaf
from kbmatch.engine.diagnose import SceneLookup
from kbmatch.engine.facts import Scene
from kbmatch.engine.incident import Incident, LogText, Source
from kbmatch.engine.logic import Truth
from kbmatch.engine.signature import Frame, HungTask, Signature

LOG = b"""\
[    0.000000] Command line: BOOT_IMAGE=/vmlinuz-6.1.55 ro quiet mitigations=off
[    5.000000] lab_core: firmware 3.1 loaded
[  812.100001] BUG: kernel NULL pointer dereference, address: 0000000000000018
[  812.100002] #PF: supervisor read access in kernel mode
[  812.100004] Oops: 0000 [#1] PREEMPT SMP NOPTI
[  812.100005] Modules linked in: lab_core(OE) xfs nf_tables(E) [last unloaded: old_core]
[  812.100006] CPU: 3 PID: 4711 Comm: lab_writer Tainted: G           OE      6.1.55 #1
[  812.100007] RIP: 0010:lab_ring_advance+0x2b/0x90 [lab_core]
[  812.100008] CR2: 0000000000000018
[  812.100009] Call Trace:
[  812.100010]  <TASK>
[  812.100011]  lab_char_write+0x55/0x100 [lab_core]
[  812.100012]  ? lab_leftover+0x1/0x10 [lab_core]
[  812.100013]  vfs_write+0xb5/0x3e0
[  812.100014]  lab_ring_advance+0x2b/0x90 [lab_core]
[  812.100015]  lab_ring_advance+0x2b/0x90 [lab_core]
[  812.100016]  </TASK>
[  812.100017] ---[ end trace 0000000000000000 ]---
[  900.000000] lab_core: goodbye
"""


def scene() -> Scene:
    reading = read_log(LOG)
    incident = Incident(Source("x", "console", len(LOG)), reading.kernel, events=reading.events, log=LogText(LOG))
    return Scene(incident, reading.events[0])


def truth(condition: Condition, where: Scene | None = None) -> Truth:
    return condition.judge(SceneLookup(where or scene())).truth


@pytest.mark.parametrize(
    ("fact", "operator", "values", "expected"),
    [
        ("text", "contains", ("supervisor read",), Truth.TRUE),
        ("text", "contains", ("firmware 3.1",), Truth.FALSE),
        ("log", "contains", ("firmware 3.1",), Truth.TRUE),
        ("log", "contains", ("goodbye",), Truth.TRUE),
        ("loaded-module", "is", ("lab_core",), Truth.TRUE),
        ("loaded-module", "is", ("nf_tables",), Truth.TRUE),
        ("loaded-module", "is", ("old_core", "OE"), Truth.FALSE),
        ("command-line", "is", ("mitigations=off",), Truth.TRUE),
        ("command-line", "prefix", ("nosmt",), Truth.FALSE),
        ("taint", "is", ("O",), Truth.TRUE),
        ("recursion", "ge", (2,), Truth.TRUE),
        ("recursion", "ge", (3,), Truth.FALSE),
        ("event-count", "is", (1,), Truth.TRUE),
        ("frame", "in-order", ("lab_ring_advance", "vfs_write"), Truth.TRUE),
        ("frame", "in-order", ("vfs_write", "lab_char_write"), Truth.FALSE),
        ("frame", "adjacent", ("lab_char_write", "vfs_write"), Truth.TRUE),
        ("frame", "adjacent", ("lab_ring_advance", "vfs_write"), Truth.FALSE),
        ("frame", "in-order", ("lab_char_write", "lab_leftover"), Truth.FALSE),
        ("frame", "is", ("lab_leftover",), Truth.TRUE),
    ],
)
def test_a_fact_of_the_log(fact: str, operator: str, values: tuple[int | str, ...], expected: Truth) -> None:
    assert truth(Leaf(fact, operator, values)) is expected


def test_without_the_whole_log_its_facts_are_unknown() -> None:
    bare = Scene(replace(scene().incident, log=None), scene().event)
    assert truth(Leaf("log", "contains", ("x",)), bare) is Truth.UNKNOWN
    assert truth(Leaf("command-line", "is", ("quiet",)), bare) is Truth.UNKNOWN


def tasks(*listed: tuple[str, tuple[str, ...]]) -> Scene:
    made = tuple(HungTask(comm, 1, 120, tuple(Frame(n, n) for n in names)) for comm, names in listed)
    event = Signature("hung-task", "m", tasks=made)
    return Scene(Incident(Source("x", "console", 0), events=(event,)), event)


BOTH = Combination("all", (Leaf("task-comm", "is", ("a",)), Leaf("task-frame", "in-order", ("wait", "top"))))


def test_any_task_asks_one_task_for_all_of_it() -> None:
    assert truth(AnyTask(BOTH), tasks(("b", ("x",)), ("a", ("wait", "mid", "top")))) is Truth.TRUE
    assert truth(AnyTask(BOTH), tasks(("a", ("x",)), ("b", ("wait", "top")))) is Truth.FALSE
    assert truth(AnyTask(BOTH), tasks()) is Truth.UNKNOWN


def test_counts_of_tasks() -> None:
    assert truth(Leaf("task-count", "ge", (2,)), tasks(("a", ()), ("b", ()))) is Truth.TRUE
    assert truth(Leaf("task-count", "ge", (2,)), tasks()) is Truth.UNKNOWN
