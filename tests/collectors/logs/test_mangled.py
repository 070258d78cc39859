"""Reports as people paste them say what the clean ones say: each mangling of corpus/mangle.py, on logs of all kinds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from corpus import arch_logs, sample_crash
from corpus.mangle import MANGLINGS, mangled
from corpus.read_facts import facts
from kbmatch.collectors.logs.console import read_log
from kbmatch.kb.authoring.mine_source import read_records
from kbmatch.kb.store.frames import load_helper_frames

KEY = ("kind", "culprit", "release", "trace5")
LOSING = {"cut-at-80": 0.3, "head-lost": 0.1}
"""What these take from the text nobody can read: the share that may still be expected to be equal."""
HARD = {"stamps-lost-wrapped": 0.9, "left-out": 0.8, "wrapped-and-whole": 0.9}
SHARE = 0.94
"""Of all logs 99 of 100 are equal; these are few, and some of them were torn before."""
HELPERS = load_helper_frames()
OWN = {
    "sample": sample_crash.TEXT,
    "stamped": "\n".join(f"[  100.{i:06d}] {line}" for i, line in enumerate(sample_crash.TEXT.split("\n"))),
    **{name: getattr(arch_logs, name) for name in ("X86_OLD", "I386", "ARM64", "ARM", "PPC64LE", "RISCV64")},
}


@pytest.mark.parametrize("name", [name for name in MANGLINGS if name not in LOSING])
@pytest.mark.parametrize("log", OWN)
def test_the_key_facts_of_an_own_log_survive(log: str, name: str) -> None:
    clean, pasted = facts(read_log(OWN[log].encode()), HELPERS), facts(read_log(mangled(name, OWN[log])), HELPERS)
    wanted = (*KEY, "symbol", "module", "address", "comm", "modules", "module_taints")
    assert {field: pasted.get(field) for field in wanted} == {field: clean[field] for field in wanted}


@pytest.fixture(scope="module")
def pasted_logs(shared: Path) -> list[str]:
    """Every fifteenth sound log of syzbot's consoles and every 110th report that a CVE record quotes."""
    found = []
    for path in sorted((shared / "corpus" / "console").glob("*.log"))[::15]:
        if json.loads(path.with_suffix(".json").read_text())["corrupted"]:
            continue
        text = path.read_text("utf-8", "replace").replace("\r", "").replace("\0", "")
        events = read_log(text.encode()).events
        if events:
            found.append(_from_line(text, events[0].line or 1))
    quoting = 0
    for record in read_records(shared / "data" / "kernel-cves.jsonl.zst"):
        if record.description.count("+0x") > 4 and " #" in record.description:
            quoting += 1
            if quoting % 110 == 0:
                events = read_log(record.description.encode()).events
                if events:
                    found.append(_from_line(record.description, events[0].line or 1))
    assert len(found) > 25
    return found


def _from_line(text: str, number: int) -> str:
    return "\n".join(text.split("\n")[max(0, number - 2) : number + 90])


def test_the_share_of_real_logs_that_survive(pasted_logs: list[str]) -> None:
    clean = [(log, facts(read_log(log.encode()), HELPERS)) for log in pasted_logs]
    clean = [(log, wanted) for log, wanted in clean if wanted]
    equal: Counter[str] = Counter()
    for name in MANGLINGS:
        for seed, (log, wanted) in enumerate(clean):
            found = facts(read_log(mangled(name, log, seed)), HELPERS)
            equal[name] += all(found.get(field) == wanted[field] for field in KEY)
    shares = {name: equal[name] / len(clean) for name in MANGLINGS}
    short = {name: share for name, share in shares.items() if share < {**LOSING, **HARD}.get(name, SHARE)}
    assert not short, f"shares of {len(clean)} logs whose key facts are equal"


MODULES = [f"acme_{name}" for name in ("core", "net", "scsi", "usb")] + [
    "xt_LOG", "8021q", "9pnet_virtio", "crc32c_intel", "iTCO_wdt", "loop", "fuse", "nf_nat", "xfs", "raid10",
    "page_owner", "list_test", "raw_diag", "index_fs", "flags_lib", "snd_hda_codec_hdmi", "video", "dm_mod",
]  # fmt: skip
LONG = [f"{name}{number or ''}" for number in range(8) for name in MODULES]


def with_modules(stamped: bool) -> str:
    """A report whose list printk broke into records, as it does at about 1000 characters."""
    records, record = [], "Modules linked in:"
    for name in LONG:
        if len(record) + len(name) > 980:
            records.append(record)
            record = ""
        record += f" {name}" + ("(OE)" if name.startswith("acme_core") else "")
    lines = sample_crash.TEXT.replace("Modules linked in: lab_core(POE) vmxnet3 xfs\n", "").split("\n")
    lines[5:5] = [*records, record + " [last unloaded: acme_gone]"]
    return "\n".join(f"[  100.{i:06d}] {line}" if stamped else line for i, line in enumerate(lines))


@pytest.mark.parametrize("name", [name for name in MANGLINGS if name not in LOSING])
@pytest.mark.parametrize("stamped", [True, False])
def test_the_whole_module_list_survives(name: str, stamped: bool) -> None:
    event = read_log(mangled(name, with_modules(stamped))).events[0]
    assert event.modules == tuple(LONG)
    assert event.module_taints == {module: "OE" for module in LONG if module.startswith("acme_core")}
    assert event.comm == "worker thread"
