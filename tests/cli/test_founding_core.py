"""The founding case as a dump: `kbmatch core` with no option reads the ring and tells the siblings apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dumps.founding_core import DIRECT, NAPI, POLL, QUEUE, SRING, founding_guest, write_founding_core
from dumps.vmcore_builder import write_elf
from kbmatch.cli.main import main

LOG = (Path(__file__).resolve().parents[2] / "examples/founding-case/dmesg.log").read_text()
SENTINEL, BEHIND = "xen-netfront-rsp-cons-sentinel", "xen-netfront-rsp-cons-behind"
PROBE = "xen-netfront.rx-rings"


@pytest.fixture
def core(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(*options: str, **what: object) -> tuple[int, str]:
        path = write_founding_core(tmp_path / "founding.core", LOG, **what)
        status = main(["core", str(path), *options])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out

    return run


def found_of(core: Any, **what: object) -> dict[str, Any]:
    _, out = core("--format", "json", "--all", **what)
    found: dict[str, Any] = json.loads(out)
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    siblings = [f for f in found["findings"] if f["rule"] in (SENTINEL, BEHIND)]
    return {finding["rule"]: finding["verdict"] for finding in siblings}


def test_the_core_confirms_the_sentinel_sibling_with_the_rings_values_and_addresses(core: Any) -> None:
    found = found_of(core)
    assert found["outcome"] == "known-issue"
    assert verdicts(found) == {SENTINEL: "confirmed", BEHIND: "refuted"}
    assert (found["kernel"]["kaslr_offset"], found["kernel"]["phys_base"]) == (0x25000000, 0x7C5000000)
    state = found["state"][PROBE]
    assert (state["origin"], state["complete"]) == ("memory", True)
    (record,) = state["records"]
    assert record["at"] == hex(QUEUE)
    assert record["values"] == {
        "device": "eth1",
        "req-prod-pvt": 255,
        "rsp-cons": 0xFFFFFFFF,
        "nr-ents": 256,
        "sring": SRING,
        "rsp-prod": 193,
        "waiting": 1,
        "unconsumed": 194,
        "cleared": 1,
    }
    assert record["addresses"]["rsp-cons"] == hex(NAPI + 0x1564)
    assert record["addresses"]["rsp-prod"] == hex(SRING + 8)


def test_the_raw_instruction_pointer_comes_from_the_stack(core: Any) -> None:
    (event,) = found_of(core)["events"]
    assert event["registers"]["rip"] == POLL + 0x2BB


def test_without_registers_on_the_stack_the_queue_is_known_by_its_shape(core: Any) -> None:
    found = found_of(core, frame=False)
    assert verdicts(found) == {SENTINEL: "confirmed", BEHIND: "refuted"}
    assert found["state"][PROBE]["complete"] is True
    assert found["events"][0]["registers"]["rip"] is None
    healthy = found_of(core, frame=False, rsp_cons=0x1D2, rsp_prod=0x1DB, cleared=1)
    assert verdicts(healthy) == {SENTINEL: "refuted", BEHIND: "refuted"}


def test_the_index_before_is_still_the_sentinel(core: Any) -> None:
    assert verdicts(found_of(core, rsp_cons=0xFFFFFFFE)) == {SENTINEL: "confirmed", BEHIND: "refuted"}


def test_several_empty_slots_in_a_row_are_the_other_sibling(core: Any) -> None:
    found = found_of(core, rsp_cons=0x1D2, rsp_prod=0x1DB, cleared=3)
    assert verdicts(found) == {BEHIND: "confirmed", SENTINEL: "refuted"}


@pytest.mark.parametrize("cleared", [0, 1])
def test_a_healthy_ring_refutes_both(core: Any, cleared: int) -> None:
    found = found_of(core, rsp_cons=0x1D2, rsp_prod=0x1DB, cleared=cleared)
    assert verdicts(found) == {SENTINEL: "refuted", BEHIND: "refuted"}
    assert found["outcome"] == "needs-escalation"


@pytest.mark.parametrize("page", ["sring", "queue"])
def test_with_the_rings_page_left_out_it_stays_likely_and_says_so(core: Any, page: str) -> None:
    found = found_of(core, left_out=page)
    assert verdicts(found)[SENTINEL] == "likely"
    assert "not in this dump" in found["state"][PROBE]["why"]
    status, out = core(left_out=page)
    assert status == 0
    assert out.startswith("LIKELY")
    assert "not in this dump" in out


def test_without_a_page_of_the_ring_nothing_is_confirmed_by_the_registers_instead(core: Any) -> None:
    assert found_of(core, left_out="queue")["state"][PROBE]["origin"] == "memory"


def test_the_report_shows_the_ring(core: Any) -> None:
    _, out = core()
    assert "rsp-cons" in out
    assert hex(NAPI + 0x1564) in out
    text = " ".join(out.split())
    assert "eth1: the driver reads response 4294967295 (0xffffffff) next; 194 wait to be read, up to 193" in text


def test_a_kernel_without_a_layout_falls_back_to_the_registers(tmp_path: Path, capsys: Any) -> None:
    log = LOG.replace("1902.5.2", "1844.5.3")
    guest = founding_guest(log)
    old = b"4.14.35-1902.5.2"
    for pfn, page in guest.pages.items():
        guest.pages[pfn] = bytearray(bytes(page).replace(old, b"4.14.35-1844.5.3"))
    guest.vmcoreinfo = guest.vmcoreinfo.replace(old, b"4.14.35-1844.5.3")
    main(["core", str(write_elf(guest, tmp_path / "x.core")), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert found["state"][PROBE]["origin"] == "registers"
    assert verdicts(found) == {SENTINEL: "confirmed"}


def test_the_builder_puts_things_where_the_write_up_saw_them() -> None:
    guest = founding_guest(LOG)
    page = guest.pages[(NAPI - DIRECT) >> 12]
    assert int.from_bytes(page[(NAPI & 0xFFF) + 0x20 :][:8], "little") == POLL
