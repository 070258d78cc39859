"""How many bytes of a dump `kbmatch core` reads, against what the log, page tables and headers of that dump occupy.

usage: python bench/bytes_read.py [--json FILE] [VMCORE...]

Counted are the bytes that read calls on the dump return, those read twice counted twice, from start to verdict (log,
probes, stacks and all); and the distinct pages of 4 KiB among them. The floor is what a reader must read, counted the
way ../shared/dump-facts.md does: each log record's descriptor (24 bytes), record info (88) and text, the notes, program
headers, four page-table entries; in a kdump-compressed file the two headers, the bitmap up to the highest page of the
log, and for each page that holds a part of the log a descriptor and the compressed page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from installed import add_installed, installed
from measure import number
from section import Bar, Section, run_alone, shown_name
from surroundings import ROOT

DUMPS = ROOT.parent / "shared/dumps"
VMCORES = tuple(
    DUMPS / name
    for name in ("a-napi.trim.elf.vmcore.zst", "a-sysrq.trim.elf.vmcore.zst", "a-napi.trim.zlib.vmcore",
                 "a-napi-kdump.trim.zlib.vmcore", "a-napi.trim.zstd.vmcore")
)  # fmt: skip
LIMIT = 3

COUNT = """
import contextlib, io, json, os, sys
sys.path.insert(0, sys.argv[1])
dump = sys.argv[2]
wanted = os.stat(dump)
total, pages, calls = 0, set(), 0
pread = os.pread
def counted(descriptor, length, offset):
    global total, calls
    data = pread(descriptor, length, offset)
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
        total += len(data)
        calls += 1
        if data:
            pages.update(range(offset >> 12, (offset + len(data) - 1 >> 12) + 1))
    return data
os.pread = counted
from kbmatch.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    status = main(["core", dump, "--format", "json"])
json.dump({"read": total, "calls": calls, "pages": len(pages), "status": status,
           "state": sorted(json.loads(out.getvalue())["state"])}, sys.stdout)
"""

FLOOR = """
import json, os, struct, sys
sys.path.insert(0, sys.argv[1])
from kbmatch.collectors.dump import open_dump
from kbmatch.collectors.memory.memory import Memory
path = sys.argv[2]
touched, read = set(), Memory.read
def seen(self, address, length):
    touched.update(range(address >> 12, (address + max(length, 1) - 1 >> 12) + 1))
    return read(self, address, length)
dump = open_dump(path)
Memory.read = seen
records = dump.read_log().records
Memory.read = read
log = sum(24 + 88 + 8 + (len(r.text) + 7 & ~7) for r in records)
floor = None
if dump.format == "elf-vmcore":
    with open(path, "rb") as file:
        head = file.read(64)
        start, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
        file.seek(start)
        table = file.read(56 * count)
    notes = sum(struct.unpack_from("<Q", table, at + 32)[0] for at in range(0, len(table), 56) if table[at] == 4)
    floor = 64 + len(table) + notes + log + 40
elif dump.format == "kdump-compressed":
    fresh = open_dump(path)  # every page that holds a part of the log, each once
    total, pread = 0, os.pread
    def counted(descriptor, length, offset):
        global total
        data = pread(descriptor, length, offset)
        total += len(data)
        return data
    os.pread = counted
    for page in touched:
        fresh.memory.read(page << 12, 4096)
    floor = 8192 + total
json.dump({"records": len(records), "text": sum(len(r.text) for r in records), "log": log, "pages": len(touched),
           "format": dump.format, "floor": floor}, sys.stdout)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vmcores", metavar="VMCORE", nargs="*", type=Path, default=list(VMCORES))
    add_installed(parser)


def _run(script: str, base: Path, dump: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", script, str(base), str(dump)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{dump}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(options: argparse.Namespace) -> Section:
    """Count, dump by dump."""
    section = Section(
        "Bytes read from a dump, from start to verdict",
        ["dump", "format", "size MB", "log records", "floor KB", "read KB", "read / floor", "pages of 4 KiB", "reads"],
        skipped=[f"{path} is not there" for path in options.vmcores if not path.is_file()],
    )
    with installed(options) as base, tempfile.TemporaryDirectory() as folder:
        for path in filter(Path.is_file, options.vmcores):
            dump = _unpacked(path, Path(folder))
            if dump is None:
                section.skipped.append(f"{shown_name(path)} cannot be unpacked: zstandard is not installed")
                continue
            counted, floor = _run(COUNT, base, dump), _run(FLOOR, base, dump)
            ratio = counted["read"] / floor["floor"] if floor["floor"] else None
            cells = [shown_name(dump), floor["format"], number(dump.stat().st_size / 1e6), str(floor["records"])]
            cells += [number(floor["floor"] / 1e3), number(counted["read"] / 1e3)] if ratio else ["", ""]
            section.rows.append([*cells, number(ratio) if ratio else "", str(counted["pages"]), str(counted["calls"])])
            section.figures[shown_name(dump)] = {**counted, **floor}
            if ratio:
                section.bars.append(Bar(f"{shown_name(dump)}: bytes read / floor", ratio, LIMIT))
    return section


def _unpacked(path: Path, folder: Path) -> Path | None:
    """The dump itself, unpacked where it is a .zst: kbmatch would unpack it to a file of its own."""
    if path.suffix != ".zst":
        return path
    try:
        import zstandard
    except ImportError:
        return None
    target = folder / path.stem
    with path.open("rb") as source, target.open("wb") as unpacked:
        zstandard.ZstdDecompressor().copy_stream(source, unpacked)
    return target


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
