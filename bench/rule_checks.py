"""`kbmatch rule lint` and `kbmatch rule test` over 5,000 rules, each with a log and four signatures as cases.

python bench/rule_checks.py [NUMBER]        # default 5000; prints seconds, exits 1 above a minute
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 60.0
RULE = """\
format: 1
id: {id}
title: lab rule {i}
status: stable
severity: high
created: "2026-11-23"
description: |
  Made for the test of speed.
signature:
  all:
    - kind: null-deref
    - symbol: {fn}
    - frame: lab_caller_{g}
    - address: [0x8, 0x10]
affected:
  - product: uek5
    ranges:
      - {{stream: "1902", introduced: "0", fixed: "4.14.35-1902.7.0"}}
    source: lab notes
references:
  - https://lab.example.org/notes/{i}
"""
NEAR = (("gpf", "{fn}", "0x8", "lab_caller_{g}"), ("null-deref", "lab_elsewhere", "0x8", "lab_caller_{g}"),
        ("null-deref", "{fn}", "0x8", "lab_other"), ("null-deref", "{fn}", "0x18", "lab_caller_{g}"))  # fmt: skip
CRASH = """\
format: 1
rule: {id}
cases:
  - name: the crash
    log: |
      BUG: kernel NULL pointer dereference, address: 0000000000000008
      #PF: supervisor read access in kernel mode
      Oops: 0000 [#1] SMP NOPTI
      CPU: 3 PID: 4711 Comm: lab Not tainted 4.14.35-1902.5.2.el7uek.x86_64 #2
      RIP: 0010:{fn}+0x2b/0x90 [lab_core]
      RAX: 0000000000000142 RBX: 0000000000000000 RCX: ffff98c025b5a900
      CR2: 0000000000000008
      Call Trace:
       lab_caller_{g}+0x55/0x100 [lab_core]
       vfs_write+0xb5/0x3e0
       ksys_write+0x5f/0xe0
      ---[ end trace 33683746988514c8 ]---
    expect: {{verdict: likely, version: "4.14.35-1902.7.0"}}
"""


def write_rules(folder: Path, count: int) -> None:
    """Rules that pass lint and test, fifty folders of them."""
    for i in range(count):
        below = folder / f"sub{i % 50}"
        below.mkdir(exist_ok=True)
        names = {"i": i, "id": f"lab-rule-{i}", "fn": f"lab_fn_{i}", "g": i % 7}
        text = CRASH.format(**names)
        for number, near in enumerate(NEAR):
            kind, symbol, address, frame = (part.format(**names) for part in near)
            text += f"  - name: near {number}\n    signature: {{kind: {kind}, symbol: {symbol}, address: {address}, "
            text += (
                f'trace: [{frame}]}}\n    release: "4.14.35-1902.5.2.el7uek.x86_64"\n    expect: {{verdict: none}}\n'
            )
        (below / f"lab-rule-{i}.yaml").write_text(RULE.format(**names))
        (below / f"lab-rule-{i}.test.yaml").write_text(text)


def main() -> int:
    """Time both commands; 1 if one is too slow or finds something."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    status = 0
    with tempfile.TemporaryDirectory() as name:
        write_rules(Path(name), count)
        for command in ("lint", "test"):
            started = time.monotonic()
            done = subprocess.run(["kbmatch", "rule", command, name], capture_output=True, text=True, check=False)
            took = time.monotonic() - started
            print(f"rule {command}: {took:.1f} s: {done.stdout.splitlines()[-1] if done.stdout else done.stderr}")
            status |= done.returncode or took > LIMIT * max(count, 1) / 5000 + 5
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
