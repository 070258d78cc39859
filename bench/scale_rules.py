"""How a diagnosis grows with the knowledge base: 100 to 100,000 synthetic rules, the whole command, one run.

usage: python bench/scale_rules.py [--sizes 100,1000,10000,100000] [--rounds N] [--json FILE] [LOG]

kbmatch is installed into a temporary folder as from a wheel; its compiled knowledge is replaced by one of N distinct
rules (symbols, frames, modules and version ranges made from a seed) beside the shipped tables.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from measure import Measured, alternate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".dev"))

LOG = ROOT / "examples/founding-case/dmesg.log"
KINDS = ("null-deref", "page-fault", "gpf", "bug", "warning", "list-corruption", "soft-lockup", "hung-task")
VERBS = ("get", "put", "poll", "alloc", "free", "submit", "complete", "queue", "flush", "reset", "probe", "remove")
NOUNS = ("ring", "queue", "request", "page", "inode", "socket", "port", "device", "buffer", "timer", "work", "entry")


def synthetic_rules(count: int) -> Iterator[dict[str, object]]:
    """Rules as plain documents; each symbol is its own, each frame is shared by some six rules."""
    random_ = random.Random(count)
    pool = [f"drv{i // 12}_{VERBS[i % 12]}_{NOUNS[i // 7 % 12]}" for i in range(max(count // 3, 50))]
    for number in range(count):
        module = f"drv{number // 40}"
        symbol = f"{module}_{random_.choice(VERBS)}_{random_.choice(NOUNS)}_{number}"
        minor, patch = random_.randrange(1, 19), random_.randrange(2, 200)
        yield {
            "format": 1,
            "id": f"synthetic-{number}",
            "title": f"{module}: {random_.choice(NOUNS)} used after free in {symbol}",
            "status": "stable",
            "severity": "high",
            "created": "2026-11-23",
            "description": "A rule made to measure with.",
            "signature": {
                "all": [
                    {"kind": random_.choice(KINDS)},
                    {"symbol": [symbol, f"{symbol}_locked"]},
                    {"frame": random_.sample(pool, 2)},
                ]
            },
            "affected": [
                {
                    "product": "linux",
                    "ranges": [{"branch": f"5.{minor}", "introduced": "0", "fixed": f"5.{minor}.{patch}"}],
                    "source": "made by bench/scale_rules.py",
                }
            ],
            "fixes": [{"commit": f"{random_.getrandbits(48):012x}", "title": "fix it"}],
        }


def compiled(count: int, target: Path) -> None:
    """A compiled knowledge base: shipped tables, probes and curated rules, and `count` synthetic ones."""
    from kbmatch.engine.document import Problems
    from kbmatch.engine.rule_loader import load_rule
    from kbmatch.kb.store.compiler import _insert, compile_knowledge
    from kbmatch.kb.store.documents import document_from_plain
    from kbmatch.kb.store.files import SHIPPED, find_files
    from kbmatch.kb.store.products import load_products

    target.unlink(missing_ok=True)
    with sqlite3.connect(target) as database:
        database.execute("PRAGMA synchronous = OFF")
        compile_knowledge(replace(find_files(SHIPPED), mined=(), advisories=()), database)
        problems = Problems()
        for number, plain in enumerate(synthetic_rules(count), 1_000_000):
            node = document_from_plain(plain, f"{plain['id']}.yaml")
            rule = load_rule(node, problems, load_products(), {})
            assert rule is not None, problems.diagnostics
            _insert(database, number, rule, f"{rule.id}.yaml", node)
        database.commit()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", type=Path, default=LOG)
    parser.add_argument("--sizes", default="100,1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as name:
        base = Path(name, "base")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(base), str(ROOT)]
        subprocess.run(pip, check=True, capture_output=True)
        commands = []
        for size in sizes:
            folder = Path(name, str(size))
            shutil.copytree(base, folder)
            compiled(size, folder / "kbmatch/kb/compiled.sqlite")
            script = (
                f"import sys; sys.path.insert(0, {str(folder)!r}); from kbmatch.cli.main import main; sys.exit(main())"
            )
            command = [sys.executable, "-c", script, "core", str(options.log)]
            commands.append(Measured(f"{size:,} rules", command))
        alternate(commands, options.rounds)
    first = commands[0]
    rows = [
        {
            "rules": size, "cpu_seconds": c.median_cpu, "cpu_min": min(c.cpu), "cpu_max": max(c.cpu),
            "peak_mib": max(c.peak), "time_ratio": c.median_cpu / first.median_cpu,
            "memory_ratio": max(c.peak) / max(first.peak),
        }
        for size, c in zip(sizes, commands, strict=True)
    ]  # fmt: skip
    print("| rules | CPU s, median (min - max) | peak MiB | time / first | memory / first |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['rules']:,} | {row['cpu_seconds']:.3f} ({row['cpu_min']:.3f} - {row['cpu_max']:.3f}) "
            f"| {row['peak_mib']:.0f} | {row['time_ratio']:.2f} | {row['memory_ratio']:.2f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
