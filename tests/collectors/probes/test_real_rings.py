"""Rings of real crashes agree with their ground truth: by BTF in the dump, by DWARF of the module's file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kbmatch.cli.main import main
from kbmatch.collectors.collect import CollectOptions, collect
from kbmatch.collectors.types.debuginfo import DebugInfo
from kbmatch.engine.incident import ProbeState
from kbmatch.kb.store.knowledge import KnowledgeBase

RUNS = ["a-bug", "a-napi", "a-napi-kdump", "a-nullfn", "a-proc", "a-softlockup", "a-sysrq"]
PROBE = Path(__file__).with_name("ringdrv.yaml").read_text()
# Offsets of ringdrv.c, for a kernel whose dump tells of napi_struct by BTF but of the driver nothing.
LAYOUTS = """
layouts:
  struct ringdrv_queue:
    id: [0, 4]
    name: [4, 20, "char [20]"]
    info: [24, 8, "struct ringdrv_info *"]
    napi: [32, 400, "struct napi_struct"]
    rx: [440, 24, "struct ringdrv_front_ring"]
    rx_errors: [480, 8]
  struct ringdrv_front_ring: {req_prod_pvt: [0, 4], rsp_cons: [4, 4], nr_ents: [8, 4], sring: [16, 8]}
  struct ringdrv_info: {num_queues: [8, 4], queues: [16, 16, "struct ringdrv_queue *[2]"]}
  struct ringdrv_sring: {req_prod: [0, 4], rsp_prod: [8, 4]}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # not $XDG_CACHE_HOME, where the compiled knowledge is: it would be compiled for every test
    for module in ("type_cache", "debuginfod"):
        monkeypatch.setattr(f"kbmatch.collectors.types.{module}.cache_folder", lambda: tmp_path / "cache/kbmatch/types")


def knowledge(folder: Path, text: str) -> KnowledgeBase:
    (folder / "probes").mkdir(parents=True)
    (folder / "probes" / "ringdrv.yaml").write_text(text)
    return KnowledgeBase([folder])


def dump_of(shared: Path, run: str) -> Path:
    (path,) = (shared / "dumps").glob(f"{run}.trim.*.zst")
    return path


def check(state: ProbeState, truth: dict[str, Any]) -> None:
    assert state.complete, state.why
    assert {record.at for record in state.records} == {int(queue["addr"], 16) for queue in truth["queues"]}
    for queue in truth["queues"]:
        (record,) = (r for r in state.records if r.at == int(queue["addr"], 16))
        assert record.missing == {}
        wanted = {
            "id": queue["id"], "name": queue["name"], "req-prod-pvt": queue["req_prod_pvt"],
            "rsp-cons": queue["rsp_cons"], "nr-ents": queue["nr_ents"], "sring": int(queue["sring"], 16),
            "sring-req-prod": queue["sring_req_prod"], "sring-rsp-prod": queue["sring_rsp_prod"],
            "rx-errors": queue["rx_errors"], "polled": 1,
        }  # fmt: skip
        assert dict(record.values) == wanted
        assert record.addresses["rsp-cons"] == int(queue["rx_addr"], 16) + queue["offset_rsp_cons_in_rx"]


def truth_of(shared: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "dumps/truth" / f"{run}.json").read_text())
    return found


@pytest.mark.parametrize("run", RUNS)
def test_dwarf_of_the_module_gives_the_rings(shared: Path, tmp_path: Path, run: str) -> None:
    truth = truth_of(shared, run)
    how = CollectOptions(debuginfo=DebugInfo([shared / "dumps/symbols/ringdrv.ko"]))
    incident = collect([str(dump_of(shared, run))], knowledge(tmp_path / "kb", PROBE), how)
    check(incident.state["ringdrv.rings"], truth)


@pytest.mark.parametrize("run", ["a-napi", "a-napi-kdump"])
def test_btf_in_the_dump_and_the_drivers_layout_give_the_rings(shared: Path, tmp_path: Path, run: str) -> None:
    incident = collect([str(dump_of(shared, run))], knowledge(tmp_path / "kb", PROBE + LAYOUTS))
    check(incident.state["ringdrv.rings"], truth_of(shared, run))


def test_without_types_it_says_which_file_would_help(shared: Path, tmp_path: Path) -> None:
    incident = collect([str(dump_of(shared, "a-napi"))], knowledge(tmp_path / "kb", PROBE))
    state = incident.state["ringdrv.rings"]
    assert (state.complete, state.records) == (False, ())
    assert "--debuginfo with ringdrv.ko.debug of 6.1.0-56-cloud-amd64" in (state.why or "")


def test_dwarf_costs_under_two_seconds_once_and_no_elftools_when_it_is_kept(shared: Path, tmp_path: Path) -> None:
    kb = knowledge(tmp_path / "kb", PROBE)
    kb.open()
    path = shared / "dumps/symbols/ringdrv.ko"
    started = time.monotonic()
    collect([str(dump_of(shared, "a-napi"))], kb, CollectOptions(debuginfo=DebugInfo([path])))
    assert time.monotonic() - started < 3  # unpacking the dump is part of it
    for name in [n for n in sys.modules if n.startswith(("elftools", "kbmatch.collectors.types.dwarf"))]:
        del sys.modules[name]
    incident = collect([str(dump_of(shared, "a-napi"))], kb, CollectOptions(debuginfo=DebugInfo([path])))
    check(incident.state["ringdrv.rings"], truth_of(shared, "a-napi"))
    assert "elftools" not in sys.modules


def test_a_module_of_another_release_is_refused(shared: Path, tmp_path: Path) -> None:
    other = tmp_path / "ringdrv.ko"
    data = (shared / "dumps/symbols/ringdrv.ko").read_bytes()
    other.write_bytes(data.replace(b"vermagic=6.1.0-56-cloud", b"vermagic=6.1.0-57-cloud"))
    how = CollectOptions(debuginfo=DebugInfo([other]))
    incident = collect([str(dump_of(shared, "a-napi"))], knowledge(tmp_path / "kb", PROBE), how)
    assert incident.state["ringdrv.rings"].records == ()
    assert any("6.1.0-57" in note.text and "not used" in note.text for note in incident.notes)


@pytest.mark.parametrize(
    ("run", "rip"), [("a-napi", "ringdrv_poll"), ("a-napi-kdump", "ringdrv_poll"), ("a-nullfn", None)]
)
def test_the_raw_instruction_pointer_is_found_on_the_stack(
    shared: Path, tmp_path: Path, run: str, rip: str | None
) -> None:
    truth = truth_of(shared, run)
    incident = collect([str(dump_of(shared, run))], knowledge(tmp_path / "kb", PROBE))
    event = incident.events[incident.fatal_index or 0]
    if rip is not None:
        base = int(truth["module_symbols"][rip], 16)
        assert event.registers["rip"] == base + truth["rip"]["offset"]


@pytest.fixture(scope="session")
def xen_core(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import zstandard

    target = tmp_path_factory.mktemp("xen") / "ringbreak.core"
    with (shared / "xen/pvh-grub-ringbreak.core.zst").open("rb") as source, target.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(source, out)
    return target


def test_the_xen_guest_whose_slots_were_emptied(xen_core: Path, shared: Path, capsys: Any) -> None:
    """The driver's own message before the crash is the truth: queues, rx indices, sring."""
    import re

    truth = json.loads((shared / "xen/truth/pvh-grub-ringbreak.json").read_text())
    said = " ".join(truth["guest_truth"]["console_after_ready"])
    told = re.search(r"queues (\w+) rx.req_prod_pvt=(\d+) rsp_cons=(\d+) nr_ents=(\d+) sring=(\w+)", said)
    assert told is not None
    status = main(["core", str(xen_core), "--format", "json", "--all"])
    found = json.loads(capsys.readouterr().out)
    state = found["state"]["xen-netfront.rx-rings"]
    assert (state["origin"], state["complete"]) == ("memory", True)
    (record,) = state["records"]
    assert record["at"] == f"0x{told[1]}"
    values = record["values"]
    assert values["device"] == "eth0"
    assert (values["req-prod-pvt"], values["rsp-cons"], values["nr-ents"]) == tuple(int(told[n]) for n in (2, 3, 4))
    assert values["sring"] == int(told[5], 16)
    assert values["unconsumed"] >= 1
    assert values["cleared"] >= 2
    verdicts = {f["rule"]: f for f in found["findings"]}
    assert verdicts["xen-netfront-rsp-cons-sentinel"]["verdict"] == "refuted"
    other = verdicts["xen-netfront-rsp-cons-behind"]
    assert (other["verdict"], other["version_conflict"]) == ("confirmed", True)
    assert other["recommend"]["action"] == "escalate"
    assert "5.4 of mainline" in other["explanation"]["version"]["why"]
    assert (status, found["outcome"]) == (1, "needs-escalation")


def test_the_source_line_comes_from_the_modules_dwarf(shared: Path, tmp_path: Path) -> None:
    """drgn's frame of the same dump is the oracle."""
    truth = truth_of(shared, "a-napi")
    (wanted,) = (line for line in truth["drgn_crashed"]["trace"] if " ringdrv_poll (" in line)
    how = CollectOptions(debuginfo=DebugInfo([shared / "dumps/symbols/ringdrv.ko"]))
    incident = collect([str(dump_of(shared, "a-napi"))], knowledge(tmp_path / "kb", PROBE), how)
    line = incident.events[incident.fatal_index or 0].source_line
    assert line is not None
    assert f"{line}:" in wanted
