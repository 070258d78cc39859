"""What `kbmatch core` may import: cold start is mostly import, so each module on the way to a verdict is listed here.

A module that is needed for every log goes into LOG; one that only some inputs need is better imported where it is used,
and listed with those. A module that vanishes may stay on the list: these are upper bounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dumps.guest import Record, build_guest
from dumps.vmcore_builder import write_kdump
from kbmatch.kb.store.knowledge import KnowledgeBase

ROOT = Path(__file__).resolve().parents[2]
OOPS = """\
BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 3 PID: 4711 Comm: lab Tainted: G           O       6.1.0-13-amd64 #1 Debian 6.1.55-1
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
RIP: 0010:lab_fn+0x2b/0x90 [lab]
RSP: 0018:ffffc90000123d40 EFLAGS: 00010246
RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000001
RDX: 0000000000000000 RSI: 0000000000000000 RDI: ffff888100a0b000
Call Trace:
 <TASK>
 vfs_write+0xb5/0x3e0
 ksys_write+0x5f/0xe0
 do_syscall_64+0x3a/0x90
 entry_SYSCALL_64_after_hwframe+0x6e/0xd8
 </TASK>
CR2: 0000000000000008
---[ end trace 0000000000000000 ]---
"""
CODE = "Code: 00 00 0f 1f 44 00 00 53 48 89 fb 48 8b 47 10 48 85 c0 74 1f <48> 8b 40 08 48 89 df e8 d1 ff ff ff 5b c3\n"

NEVER = {
    "yaml", "jsonschema", "requests", "rich", "pycparser", "elftools", "zstandard", "ahocorasick_rs", "drgn",
    "inspect", "dataclasses", "ast", "asyncio", "email", "http", "ssl", "socket", "logging", "unittest", "pydoc",
    "subprocess", "multiprocessing", "concurrent", "tempfile", "shutil", "hashlib", "xml", "html", "pickle", "glob",
}  # fmt: skip
"""Costs milliseconds and no diagnosis of a plain log needs it."""

CTYPES = {"ctypes", "_ctypes"}
"""How capstone's library is called; its Python module would load inspect, subprocess and twenty architectures."""

STDLIB = {
    "__future__", "_abc", "_codecs", "_collections", "_collections_abc", "_datetime", "_functools", "_io", "_json",
    "_locale", "_operator", "_sqlite3", "_sre", "_stat", "_struct", "_thread", "_typing", "_warnings", "_weakref",
    "abc", "argparse", "bisect", "_bisect", "builtins", "codecs", "collections", "contextlib", "copyreg", "datetime",
    "encodings", "enum", "errno", "fnmatch", "functools", "genericpath", "gettext", "importlib", "io", "ipaddress",
    "itertools", "json", "keyword", "locale", "math", "ntpath", "operator", "os", "pathlib", "posixpath", "re",
    "reprlib", "shlex", "sqlite3", "stat", "struct", "sys", "textwrap", "time", "types", "typing", "urllib",
    "warnings", "zlib", "_signal", "signal", "string", "_string", "_opcode",
}  # fmt: skip
"""Modules of the standard library that a plain log may load, by their first name."""

ENGINE = {
    "affected", "code_pattern", "condition", "condition_loader", "culprit", "diagnose", "document", "errors",
    "explanation", "face", "facts", "finding", "incident", "index_key", "kinds", "linear_regex", "logic", "matching",
    "memory_report", "patterns", "products", "recommend", "register_facts", "rule", "rule_loader", "signature",
    "similar_loader",
    "similarity", "state", "symbols", "ties", "values", "verdict", "version", "version_range", "versions",
    "versions.compare", "versions.dpkg", "versions.rpm", "versions.upstream",
}  # fmt: skip
STORE = {"cache", "documents", "files", "frames", "knowledge", "layer", "products", "tables"}
CLI = {
    "core", "help_format", "input", "main", "not_kernel", "options", "progress", "state_table", "style", "text_report",
    "wording",
}  # fmt: skip
UNKNOWN = {
    "engine.nearest", "engine.weak", "engine.traits", "engine.clues", "engine.fingerprint",
    "cli.history", "cli.history.store", "engine.contract", "cli.around", "cli.unknown",
}  # fmt: skip
UNKNOWN_STDLIB = {"hashlib", "_hashlib", "_blake2"}
"""A crash that no rule explains: the nearest rules, its fingerprint, and whether it was seen before."""
COLLECTORS = {
    "collect", "identify", "containers", "containers.identify", "containers.opening", "containers.source", "logs",
    "logs.console", "logs.dies", "logs.draft", "logs.events", "logs.grouping", "logs.head_table", "logs.header",
    "logs.heads", "logs.interleaved", "logs.legible", "logs.lines", "logs.modules", "logs.reading", "logs.registers",
    "logs.report", "logs.reporters", "logs.rests", "logs.sources", "logs.stacks", "logs.tasks", "logs.torn",
    "logs.trace", "logs.triggers", "logs.typed", "logs.unwrapping", "transcript", "transcript.session",
}  # fmt: skip
LOG = {
    "kbmatch", "cli", "collectors", "engine", "kb", "kb.store",
    *(f"engine.{name}" for name in ENGINE), *(f"kb.store.{name}" for name in STORE),
    *(f"cli.{name}" for name in CLI), *(f"collectors.{name}" for name in COLLECTORS),
}  # fmt: skip
"""Modules of kbmatch that a plain log may load."""

DECODED = {
    "collectors.instructions", "collectors.instructions.decode", "collectors.instructions.capstone_library",
}  # fmt: skip
REGISTERS = {"collectors.probes", "engine.expression", "engine.layout", "engine.probe", "kb.store.frozen_probes"}
DUMP = {
    "collectors.dump", "collectors.outside", "collectors.containers.container", "collectors.containers.notes",
    "collectors.containers.physical_map", "collectors.containers.bitmap", "collectors.containers.page_codecs",
    "collectors.containers.kdump_compressed", "collectors.memory", "collectors.memory.facts",
    "collectors.memory.kallsyms", "collectors.memory.kallsyms_search", "collectors.memory.kernel_space",
    "collectors.memory.kernel_search", "collectors.memory.memory", "collectors.memory.translation",
    "collectors.memory.vmcoreinfo", "collectors.memory.x86_64", "collectors.printk", "collectors.printk.record",
    "collectors.printk.ringbuffer", "collectors.printk.structured", "collectors.probes.exception_frame",
    "collectors.probes.kernel_view", "collectors.probes.run", "collectors.probes.evaluator",
    "collectors.probes.records", "collectors.probes.roots", "collectors.probes.value", "collectors.types",
    "collectors.types.btf", "collectors.types.catalogue", "collectors.types.laid_out", "collectors.types.model",
    "collectors.types.of_dump",
}  # fmt: skip
"""What a kdump-compressed dump needs beside: container, page tables, log; probes of the kernel proper and its BTF."""
DUMP_STDLIB = {"array", "binascii", "copy", "lzma", "_lzma", "_compression", "bz2", "_bz2", "heapq", "_heapq"}

SCRIPT = """
import sys
before = set(sys.modules)
import io, contextlib, json
from kbmatch.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    status = main(sys.argv[1:])
json.dump([status, out.getvalue(), sorted(set(sys.modules) - before)], sys.stdout)
"""


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compiling needs YAML and C: it is done before."""
    KnowledgeBase().open()


def imported(path: Path, shows: str = "lab_fn") -> tuple[set[str], set[str], set[str]]:
    """What the command imports: modules of kbmatch, first names of the standard library's, and of others."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".dev")}
    command = [sys.executable, "-c", SCRIPT, "core", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    status, report, names = json.loads(done.stdout)
    assert status in (0, 1)
    assert shows in report
    own = {name.removeprefix("kbmatch.") for name in names if name == "kbmatch" or name.startswith("kbmatch.")}
    first = {name.split(".")[0] for name in names} - {"kbmatch", "io", "contextlib", "json", "_json"}
    standard = first & sys.stdlib_module_names
    return own, standard, first - standard


def new(found: set[str], allowed: set[str]) -> list[str]:
    """What was imported and is on no list."""
    return sorted(found - allowed)


def test_a_known_crash_loads_no_library_and_only_what_is_listed(tmp_path: Path) -> None:
    log = tmp_path / "dmesg.log"
    known = (ROOT / "examples/founding-case/dmesg.log").read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in known if "Code:" not in line))
    own, standard, others = imported(log, "LIKELY")
    assert others == set()
    assert sorted(standard & NEVER) == []
    assert new(standard, STDLIB) == []
    assert new(own, LOG) == []


def test_an_unknown_crash_adds_the_nearest_rules_and_its_fingerprint(tmp_path: Path) -> None:
    log = tmp_path / "dmesg.log"
    log.write_text(OOPS)
    own, standard, others = imported(log)
    assert others == set()
    assert sorted((standard & NEVER) - UNKNOWN_STDLIB) == []
    assert new(standard, STDLIB | UNKNOWN_STDLIB) == []
    assert new(own, LOG | UNKNOWN) == []


def test_a_code_line_adds_the_library_of_capstone_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "dmesg.log"
    log.write_text(OOPS.replace("RSP: 0018", f"{CODE}RSP: 0018"))
    own, standard, others = imported(log)
    assert others == set(), "another major version of capstone than collectors/instructions/capstone_library.py knows?"
    assert sorted((standard & NEVER) - UNKNOWN_STDLIB) == []
    assert new(standard, STDLIB | UNKNOWN_STDLIB | CTYPES) == []
    assert new(own, LOG | UNKNOWN | DECODED | REGISTERS) == []


def test_a_dump_adds_its_container_memory_log_and_probes_but_no_debuginfo(tmp_path: Path) -> None:
    records = [Record(line.encode(), 10**9 * number) for number, line in enumerate(OOPS.splitlines(), 1)]
    path = write_kdump(build_guest(records), tmp_path / "vmcore")
    own, standard, others = imported(path)
    assert others == set()
    assert sorted((standard & NEVER) - UNKNOWN_STDLIB) == []
    assert new(standard, STDLIB | UNKNOWN_STDLIB | DUMP_STDLIB) == []
    assert new(own, LOG | UNKNOWN | DUMP | REGISTERS) == []
