"""The logs beside the repository: the founding case and those of the lab's dumps, against their ground truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.culprit import assign_culprits
from kbmatch.kb.store.frames import load_helper_frames

RUNS = [
    "a-bug",
    "a-gpf",
    "a-napi",
    "a-napi-kdump",
    "a-nullfn",
    "a-proc",
    "a-softlockup",
    "a-stack",
    "a-sysrq",
]
KINDS = {
    "a-bug": "bug",
    "a-gpf": "gpf",
    "a-napi": "null-deref",
    "a-napi-kdump": "null-deref",
    "a-nullfn": "null-deref",
    "a-proc": "null-deref",
    "a-softlockup": "soft-lockup",
    "a-stack": "stack-overflow",
    "a-sysrq": "sysrq",
}


def test_founding_log_gives_the_contract_example(shared: Path) -> None:
    reading = read_log((shared / "founding-case" / "dmesg.log").read_bytes())
    kernel = reading.kernel
    assert kernel.release == "4.14.35-1902.5.2.el7uek.x86_64"
    assert (kernel.arch, kernel.taint, kernel.livepatched) == ("x86_64", ("P", "O"), False)
    assert kernel.kaslr_offset == 620756992
    assert (reading.machine.hardware, reading.machine.hypervisor) == (
        "Xen HVM domU, BIOS 4.4.4OVM 08/14/2017",
        "xen",
    )
    (event,) = assign_culprits(reading.events, load_helper_frames())
    assert (event.kind, event.fatal, event.line, event.time) == ("null-deref", True, 2, 3581719.424780)
    assert (event.cpu, event.pid, event.comm, event.context) == (0, 0, "swapper/0", "softirq")
    assert (event.symbol, event.printed) == ("xennet_poll", "xennet_poll+0x2bb/0xb30 [xen_netfront]")
    assert (event.offset, event.size, event.module) == (699, 2864, "xen_netfront")
    assert (event.address, event.access) == (44, "read")
    assert event.registers["rip"] is None
    assert (event.registers["rbx"], event.registers["rdi"], event.registers["r8"]) == (
        0,
        4294967295,
        0xFFFF98C023924528,
    )
    assert event.code is not None
    assert "<8b> 7b 2c" in event.code
    assert event.instruction is not None
    assert (event.instruction.text, event.instruction.base, event.instruction.displacement) == (
        "mov edi, dword ptr [rbx + 0x2c]",
        "rbx",
        44,
    )
    assert event.instruction.explains_address is True
    assert event.culprit is not None
    assert (event.culprit.symbol, event.culprit.module) == ("xennet_poll", "xen_netfront")
    frame = next(f for f in event.trace if f.reliable)
    assert (frame.symbol, frame.printed, frame.offset, frame.size, frame.module) == (
        "net_rx_action",
        "net_rx_action+0x289/0x3f4",
        649,
        1012,
        "",
    )


@pytest.mark.parametrize("form", ["dmesg.txt", "serial.log"])
@pytest.mark.parametrize("run", RUNS)
def test_lab_log_agrees_with_its_truth(shared: Path, run: str, form: str) -> None:
    path = shared / "dumps" / "logs" / f"{run}.{form}"
    truth = json.loads((shared / "dumps" / "truth" / f"{run}.json").read_text())
    reading = read_log(path.read_bytes())
    assert reading.kernel.release == truth["kernel_release"]
    event = next(e for e in reading.events if e.fatal)
    assert event.kind == KINDS[run]
    assert (event.cpu, event.pid, event.comm) == (truth["cpu"], truth["pid"], truth["comm"])
    if truth["rip"]:
        rip = truth["rip"]
        name = rip["symbol"].split(".")[0] if rip["symbol"] else None
        assert (event.symbol, event.offset, event.size) == (name, rip["offset"], rip["size"])
        assert event.module == rip["module"] or rip["module"] is None
    if truth["cr2"]:
        assert event.address == int(truth["cr2"], 16)
    for name, value in (truth.get("regs") or {}).items():
        low = name.lower()
        low = low[0] + low[2:] if low in ("r08", "r09") else low
        assert event.registers.get(low) == int(value, 16), name
    if run not in ("a-napi-kdump",):
        assert reading.kernel.kaslr_offset == int(truth["kaslr_offset"], 16)
    sure = [f["sym"] for f in truth["call_trace"] if f.get("sure")]
    printed = [f.printed.split(" [")[0] for f in event.trace if f.reliable]
    assert printed[: len(sure)] == sure[: len(printed)]


def test_arm64_sysrq(shared: Path) -> None:
    reading = read_log((shared / "dumps" / "logs" / "arm64-sysrq.serial.log").read_bytes())
    (event,) = reading.events
    assert (event.kind, event.cpu, event.pid, event.comm) == ("sysrq", 0, 98, "init")
    assert (reading.kernel.arch, reading.kernel.kaslr_offset) == ("aarch64", 0x54F4C1C00000)
