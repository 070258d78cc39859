"""Facts that are worked out: why the kernel panicked, and whose module the culprit stands in."""

from __future__ import annotations

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.culprit import HelperFrames, assign_culprits
from kbmatch.engine.facts import FACTS, Scene, Value
from kbmatch.engine.incident import Incident, Source
from kbmatch.engine.signature import Culprit, Signature

OOPS = b"""\
[   10.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   10.000001] Oops: 0000 [#1] SMP NOPTI
[   10.000002] CPU: 1 PID: 7 Comm: acmed Tainted: P           OE     5.14.0-70.el9.x86_64 #1
[   10.000003] RIP: 0010:acme_rx+0x10/0x40 [acme]
[   10.000004] Modules linked in: acme(POE+) xfs nfs(U) old(P)(U) [last unloaded: gone(O)]
[   10.000005] ---[ end trace 0 ]---
[   10.000006] Kernel panic - not syncing: Fatal exception in interrupt
"""


def value(name: str, event: Signature) -> Value:
    return FACTS[name].read(Scene(Incident(Source("x", "console", 0)), event))


def the_event(data: bytes) -> Signature:
    return assign_culprits(read_log(data).events, HelperFrames())[0]


def test_the_panic_is_what_the_kernel_gave_up_for() -> None:
    event = the_event(OOPS)
    assert value("panic", event) == ("Fatal exception in interrupt",)
    assert FACTS["panic"].source(Scene(Incident(Source("x", "console", 0)), event)) == "line 7"


def test_a_report_without_a_panic_has_none_and_a_signature_without_text_does_not_tell() -> None:
    assert value("panic", Signature("bug", "kernel BUG", text=("kernel BUG",))) == ()
    assert value("panic", Signature("bug", "kernel BUG")) is None
    assert value("panic", Signature("panic", "Kernel panic - not syncing: No init found.")) == ("No init found.",)


@pytest.mark.parametrize(
    ("module", "letters"),
    [("acme", ("P", "O", "E")), ("xfs", ()), ("nfs", ("U",)), ("old", ("P", "U")), ("gone", None), ("", ())],
)
def test_the_letters_behind_the_culprits_module(module: str, letters: tuple[str, ...] | None) -> None:
    from dataclasses import replace

    event = replace(the_event(OOPS), culprit=Culprit("f", module))
    assert value("culprit-module-taint", event) == letters


def test_without_the_module_list_nobody_knows_where_the_module_is_from() -> None:
    event = the_event(b"\n".join(line for line in OOPS.splitlines() if b"linked in" not in line))
    assert event.culprit == Culprit("acme_rx", "acme")
    assert value("culprit-module-taint", event) is None


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        ([" slab_reclaimable:1 slab_unreclaimable:1500", "Node 0 slab_unreclaimable:9kB", "4000 pages RAM"], 37),
        (["Node 0 DMA slab_unreclaimable:1500kB", "4000 pages RAM"], None),
        (["slab_unreclaimable:1500"], None),
        (["slab_unreclaimable:1500", "0 pages RAM"], None),
        (["slab_unreclaimable:9000", "4000 pages RAM"], 100),
        ([], None),
    ],
)
def test_how_much_memory_the_kernels_slab_holds(lines: list[str], percent: int | None) -> None:
    assert value("unreclaimable-percent", Signature("oom", "x", text=tuple(lines))) == percent
