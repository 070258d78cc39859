"""How a diagnosis grows with the knowledge base: 100 to 100,000 synthetic rules, the whole command, one run.

usage: python bench/scale_rules.py [--sizes 100,1000,10000,100000] [--rounds N] [--json FILE] [LOG]

kbmatch is installed into a temporary folder as from a wheel; its compiled knowledge is replaced by one of N distinct
rules (symbols, frames, modules and version ranges made from a seed) beside the shipped tables and the founding case's.
Half of them are scored, as mined ones are, and share much-travelled functions as often as those do. Two logs are
diagnosed: the founding case (or LOG), and a crash of a driver that does not exist below just those functions.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from installed import add_installed, command, installed
from measure import Measured, alternate, number
from section import Bar, Section, run_alone
from surroundings import ROOT

sys.path.insert(0, str(ROOT / ".dev"))

LOG = ROOT / "examples/founding-case/dmesg.log"
TIME, MEMORY = 1.3, 1.2
KINDS = ("null-deref", "page-fault", "gpf", "bug", "warning", "list-corruption", "soft-lockup", "hung-task")
VERBS = ("get", "put", "poll", "alloc", "free", "submit", "complete", "queue", "flush", "reset", "probe", "remove")
NOUNS = ("ring", "queue", "request", "page", "inode", "socket", "port", "device", "buffer", "timer", "work", "entry")
# Functions in the traces of many of the 4,200 mined rules, and the share of them that names each.
TRAVELLED = {"dev_hard_start_xmit": 0.016, "__dev_queue_xmit": 0.021, "genl_rcv": 0.014, "____sys_sendmsg": 0.029,
             "kernfs_fop_write_iter": 0.014, "do_init_module": 0.018, "seq_read_iter": 0.010}  # fmt: skip
TRAVELLED_LOG = "\n".join(
    [
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "#PF: supervisor read access in kernel mode",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        "CPU: 3 PID: 4711 Comm: lab Not tainted 5.10.100 #1",
        "RIP: 0010:lab_start_xmit+0x2b/0x90 [lab]",
        "Call Trace:",
        *(f" {name}+0x55/0x100" for name in TRAVELLED),
        " __sys_sendmsg+0x59/0xa0",
        " do_syscall_64+0x3a/0x90",
        "---[ end trace 0000000000000000 ]---",
        "",
    ]
)


def synthetic_rules(count: int) -> Iterator[dict[str, object]]:
    """Rules as plain documents; each symbol is its own, each frame is shared by some six rules."""
    random_ = random.Random(count)
    pool = [f"drv{i // 12}_{VERBS[i % 12]}_{NOUNS[i // 7 % 12]}" for i in range(max(count // 3, 50))]
    for number_ in range(count):
        module = f"drv{number_ // 40}"
        symbol = f"{module}_{random_.choice(VERBS)}_{random_.choice(NOUNS)}_{number_}"
        minor, patch = random_.randrange(1, 19), random_.randrange(2, 200)
        yield {
            "format": 1,
            "id": f"synthetic-{number_}",
            "title": f"{module}: {random_.choice(NOUNS)} used after free in {symbol}",
            "status": "stable",
            "severity": "high",
            "created": "2026-11-23",
            "description": "A rule made to measure with.",
            "signature": _exact(random_, symbol, pool) if number_ % 2 else _scored(random_, symbol, pool, count),
            "affected": [
                {
                    "product": "linux",
                    "ranges": [{"branch": f"5.{minor}", "introduced": "0", "fixed": f"5.{minor}.{patch}"}],
                    "source": "made by bench/scale_rules.py",
                }
            ],
            "fixes": [{"commit": f"{random_.getrandbits(48):012x}", "title": "fix it"}],
        }


def _exact(random_: random.Random, symbol: str, pool: list[str]) -> dict[str, object]:
    frames = random_.sample(pool, 2)
    leaves = [{"kind": random_.choice(KINDS)}, {"symbol": [symbol, f"{symbol}_locked"]}, {"frame": frames}]
    return {"all": leaves}


def _scored(random_: random.Random, symbol: str, pool: list[str], count: int) -> dict[str, object]:
    """As kb/store/mined.py makes them: a function that many rules name weighs little (rarity)."""
    frames = random_.sample(pool, random_.randrange(1, 4))
    frames += [name for name, share in TRAVELLED.items() if random_.random() < share]
    total = math.log(max(4000, count))
    weights = [1.0, *(1 - math.log(max(1, count * TRAVELLED.get(name, 0))) / total for name in frames)]
    similar = {"kind": random_.choice(KINDS), "blamed": [symbol], "top": symbol, "frames": frames}
    return {"similar": {**similar, "weights": [round(max(0.02, weight), 3) for weight in weights]}}


def compiled(count: int, target: Path) -> None:
    """A compiled knowledge base: shipped tables and probes, the founding case's rules, `count` synthetic ones."""
    from kbmatch.engine.document import Problems
    from kbmatch.engine.rule_loader import load_rule
    from kbmatch.kb.store.compiler import _insert, compile_knowledge
    from kbmatch.kb.store.documents import document_from_plain
    from kbmatch.kb.store.files import SHIPPED, find_files
    from kbmatch.kb.store.products import load_products

    target.unlink(missing_ok=True)
    with sqlite3.connect(target) as database:
        database.execute("PRAGMA synchronous = OFF")
        files = find_files(SHIPPED)
        known = tuple(path for path in files.rules if path.parent.name == "xen-netfront")
        compile_knowledge(replace(files, rules=known, mined=(), advisories=()), database)
        problems = Problems()
        for number_, plain in enumerate(synthetic_rules(count), 1_000_000):
            node = document_from_plain(plain, f"{plain['id']}.yaml")
            rule = load_rule(node, problems, load_products(), {})
            assert rule is not None, problems.diagnostics
            _insert(database, number_, rule, f"{rule.id}.yaml", node)
        database.commit()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", nargs="?", type=Path, default=LOG)
    parser.add_argument("--sizes", default="100,1000,10000,100000")
    parser.add_argument("--rounds", type=int, default=11)
    add_installed(parser)


def measure(options: argparse.Namespace) -> Section:
    """The same logs with each knowledge base in turn."""
    sizes = [int(size) for size in options.sizes.split(",")]
    megabytes = []
    with installed(options) as base, tempfile.TemporaryDirectory() as name:
        travelled = Path(name, "travelled.log")
        travelled.write_text(TRAVELLED_LOG)
        logs = {options.log.name: options.log, "below much-travelled functions": travelled}
        commands: dict[str, list[Measured]] = {what: [] for what in logs}
        for size in sizes:
            folder = Path(name, str(size))
            shutil.copytree(base, folder)
            database = folder / "kbmatch/kb/compiled.sqlite"
            compiled(size, database)
            megabytes.append(database.stat().st_size / 1e6)
            for what, log in logs.items():
                commands[what].append(Measured(f"{size:,} rules", command(folder, "core", str(log))))
        alternate([c for row in zip(*commands.values(), strict=True) for c in row], options.rounds)
    section = Section(
        f"Growth with the knowledge base, {options.rounds} rounds",
        ["log", "rules", "compiled MB", "CPU ms", "peak MiB", f"time / {sizes[0]} rules", "memory", "exit"],
    )
    for what, row in commands.items():
        first, last = row[0], row[-1]
        for c, size, mb in zip(row, sizes, megabytes, strict=True):
            cells = [what, f"{size:,}", number(mb), number(c.median_cpu * 1e3), number(c.median_peak)]
            memory = number(c.median_peak / first.median_peak)
            section.rows.append([*cells, c.cpu_ratio(first).shown(), memory, str(c.status)])
            section.figures[f"{what}, {c.name}"] = c.figures()
        against = f"{last.name} against {sizes[0]}, {what}"
        section.bars += [
            Bar(f"{against}: time", last.cpu_ratio(first).median, TIME),
            Bar(f"{against}: memory", last.median_peak / first.median_peak, MEMORY),
        ]
    return section


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
