"""The benchmarks run: every part, on something small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("cold-start", "dumps", "bytes", "rules", "logs", "archive")


@pytest.mark.slow
def test_a_quick_bench_writes_every_table_its_bars_and_the_versions(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/run_all.py"), "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "bench.json").read_text())
    page = (tmp_path / "bench.md").read_text()
    assert found["quick"] is True
    assert "mean nothing" in page
    assert tuple(found["parts"]) == PARTS
    for name, part in found["parts"].items():
        assert part["rows"], name
        assert part["figures"], name
        assert all(len(row) == len(part["columns"]) for row in part["rows"]), name
        assert part["title"] in page
        for bar in part["bars"]:
            assert bar["what"] in page
            assert bar["holds"] == (bar["value"] >= bar["limit"] if bar["least"] else bar["value"] <= bar["limit"])
    assert {"python", "kernel", "kbmatch", "crash", "machine"} <= found["surroundings"].keys()
    statuses = [run["exit"] for run in found["parts"]["cold-start"]["figures"].values()]
    assert statuses == [0, 0, 0, 0, 0], "python, and four times a known crash"


@pytest.mark.parametrize(
    "script", sorted(path.name for path in (ROOT / "bench").glob("*.py") if "argparse" in path.read_text())
)
def test_every_script_tells_what_it_does(script: str) -> None:
    if script in ("installed.py", "section.py"):
        return
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / script), "--help"], capture_output=True, text=True, check=True
    )
    assert "usage:" in done.stdout
