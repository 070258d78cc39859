"""`kbmatch signature`: the contract's JSON, one object a file, in order, whatever the files are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.cli.main import main

CASE = Path(__file__).resolve().parents[2] / "examples/founding-case"

EVENT_KEYS = [
    "kind", "message", "fatal", "line", "time", "release", "cpu", "pid", "comm", "context", "symbol", "printed",
    "offset", "size", "module", "culprit", "address", "access", "registers", "code", "instruction", "source_line",
    "tasks", "trace",
]  # fmt: skip


def test_the_founding_log_gives_the_contracts_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["signature", str(CASE / "dmesg.log")]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    found = json.loads(out)
    assert list(found) == ["schema", "source", "kernel", "machine", "events", "state", "notes"]
    assert found["kernel"] == {
        "release": "4.14.35-1902.5.2.el7uek.x86_64", "version": "#2", "arch": "x86_64", "product": "uek5",
        "stream": "1902", "package_version": None, "upstream_base": None, "build_id": None, "taint": ["P", "O"],
        "livepatched": False, "kaslr_offset": 620756992, "phys_base": None,
    }  # fmt: skip
    assert found["machine"]["hypervisor"] == "xen"
    (event,) = found["events"]
    assert list(event) == EVENT_KEYS
    expected = {
        "kind": "null-deref", "fatal": True, "time": 3581719.424780, "cpu": 0, "pid": 0, "comm": "swapper/0",
        "context": "softirq", "symbol": "xennet_poll", "printed": "xennet_poll+0x2bb/0xb30 [xen_netfront]",
        "offset": 699, "size": 2864, "module": "xen_netfront", "address": 44, "access": "read",
        "culprit": {"symbol": "xennet_poll", "module": "xen_netfront"}, "release": None,
    }  # fmt: skip
    assert {key: event[key] for key in expected} == expected
    assert event["instruction"] == {
        "text": "mov edi, dword ptr [rbx + 0x2c]", "base": "rbx", "displacement": 44, "explains_address": True,
    }  # fmt: skip
    assert (event["registers"]["rip"], event["registers"]["rbx"], event["registers"]["rdi"]) == (None, 0, 4294967295)
    assert {"symbol": "net_rx_action", "printed": "net_rx_action+0x289/0x3f4", "offset": 649, "size": 1012,
            "module": "", "reliable": True} in event["trace"]  # fmt: skip


def test_jsonl_has_a_line_for_each_file_in_order_even_for_one_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    files = [str(CASE / "dmesg.log"), str(picture), str(tmp_path / "absent"), str(CASE / "crash-session.txt")]
    assert main(["signature", "--format", "jsonl", *files]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["source"]["path"] for line in lines] == files
    assert [len(line["events"]) for line in lines] == [1, 0, 0, 1]
    assert [n["level"] for n in lines[1]["notes"]] == ["error"]
    assert "PNG" in lines[1]["notes"][0]["text"]
