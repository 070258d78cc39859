"""Everything that `make bench` measures, as one page of tables and one JSON file.

usage: python bench/run_all.py [--output FOLDER] [--docs FILE] [--quick] [--only NAME,...]

Writes FOLDER/bench.md and FOLDER/bench.json (default: bench/results, which git ignores). kbmatch is installed once, as
from a wheel, and that is what all parts measure. A whole vmcore is made in QEMU (once; kept in build/bench), drgn comes
from PyPI into build/bench/drgn. What is not installed or not there is skipped, and the page says so in capitals.
--quick runs every part on something small, to see that it runs: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bytes_read
import cold_start
import compare_dump_readers
import many_logs
import scale_rules
import scan_logs
from installed import install
from section import Section, bars_table
from surroundings import ROOT, compile_bytecode, surroundings

RESULTS = ROOT / "bench/results"
BUILD = ROOT / "build/bench"
SHARED = ROOT.parent / "shared"
MARK = "<!-- What follows is written by `make bench BENCH_DOCS=docs/performance.md`. -->"

Part = tuple[str, Callable[[argparse.Namespace], Section], Callable[[argparse.ArgumentParser], None]]
PARTS: tuple[Part, ...] = (
    ("cold-start", cold_start.measure, cold_start.add_options),
    ("dumps", compare_dump_readers.measure, compare_dump_readers.add_options),
    ("bytes", bytes_read.measure, bytes_read.add_options),
    ("rules", scale_rules.measure, scale_rules.add_options),
    ("logs", many_logs.measure, many_logs.add_options),
    ("archive", scan_logs.measure, scan_logs.add_options),
)
QUICK = {
    "cold-start": ["--rounds", "2"],
    "rules": ["--rounds", "2", "--sizes", "50,200"],
    "logs": ["--count", "40"],
    "archive": ["--rounds", "1", "--megabytes", "8"],
}


def words_of(name: str, quick: bool, folder: Path) -> list[str]:
    """The command line of one part."""
    if name in ("dumps", "bytes"):
        dumps = small_dumps(folder) if quick else whole_dumps()
        more = ["--rounds", "1"] if quick else ["--drgn-venv", str(BUILD / "drgn")]
        return [*map(str, dumps), *(more if name == "dumps" else [])] + (
            [] if quick or name == "dumps" else [str(path) for path in bytes_read.VMCORES if path not in dumps]
        )
    if quick and name == "logs":
        return [*QUICK[name], str(small_logs(folder))]
    return QUICK.get(name, []) if quick else []


def whole_dumps() -> list[Path]:
    """Whole dumps out of QEMU, made unless they are there: a crash by sysrq, and an oops (its log has a Code: line)."""
    wanted: dict[str, list[str]] = {"sysrq": []}
    driver = SHARED / "dumps/symbols/ringdrv.ko"
    if driver.is_file():
        wanted["oops"] = ["--module", str(driver)]
    found = []
    for name, words in wanted.items():
        vmcore = BUILD / name / "vmcore.elf"
        found.append(vmcore)
        if not vmcore.is_file():
            script = str(ROOT / "bench/make_vmcore.py")
            if subprocess.run([sys.executable, script, *words, str(BUILD / name)], check=False).returncode:
                print(f"bench: no whole vmcore could be made ({name}); see above", file=sys.stderr)
    return [*found, SHARED / "dumps/a-napi-kdump.trim.zlib.vmcore"]


def small_dumps(folder: Path) -> list[Path]:
    """Synthetic dumps of a few pages: an ELF one and a compressed one."""
    sys.path[:0] = [str(ROOT / ".dev"), str(ROOT / "tests")]
    from dumps.guest import Record, build_guest
    from dumps.vmcore_builder import write_elf, write_kdump

    records = [Record(line.encode(), 10**9) for line in scale_rules.TRAVELLED_LOG.splitlines()]
    guest = build_guest(records)
    return [write_elf(guest, folder / "small.elf"), write_kdump(guest, folder / "small.kdump")]


def small_logs(folder: Path) -> Path:
    """A folder with one log."""
    target = folder / "logs"
    target.mkdir(exist_ok=True)
    (target / "1.log").write_text(scale_rules.TRAVELLED_LOG)
    return target


def run_part(part: Part, words: Sequence[str], base: Path) -> Section:
    """Measure one part as its own command line would."""
    _, measure, add = part
    parser = argparse.ArgumentParser()
    add(parser)
    return measure(parser.parse_args([*words, "--installed", str(base)]))


def page(found: dict[str, str], sections: Sequence[Section], quick: bool) -> Iterator[str]:
    """The page, ready for docs/performance.md."""
    yield "## Figures\n"
    yield f"Measured {found['date']}; both sides in the same run, alternating; medians, quartiles in parentheses."
    if quick:
        yield "\n**A quick run, to see that everything runs: its figures mean nothing.**"
    if any(section.bars for section in sections):
        yield f"\n### Bars\n\n{bars_table(sections)}"
    for section in sections:
        yield f"\n{section.markdown('###').rstrip()}"
    yield "\n### Measured with\n\n| what | version |\n|---|---|"
    yield from (f"| {name} | {version} |" for name, version in found.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--docs", type=Path, help="put the page into this document, in the place of the last one")
    parser.add_argument("--only", help=f"some parts of {', '.join(name for name, _, _ in PARTS)}")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [name for name, _, _ in PARTS]
    unknown = set(wanted) - {name for name, _, _ in PARTS}
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    options.output.mkdir(parents=True, exist_ok=True)
    found = surroundings()
    compile_bytecode()
    sections: dict[str, Section] = {}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name, "kbmatch-wheel")
        install(base)
        for part in PARTS:
            if part[0] not in wanted:
                continue
            started = time.monotonic()
            sections[part[0]] = run_part(part, words_of(part[0], options.quick, Path(name)), base)
            print(f"bench: {part[0]}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    text = "\n".join(page(found, list(sections.values()), options.quick)) + "\n"
    (options.output / "bench.md").write_text(text)
    plain = {
        "quick": options.quick, "surroundings": found, "parts": {key: part.plain() for key, part in sections.items()}
    }  # fmt: skip
    (options.output / "bench.json").write_text(json.dumps(plain, indent=1) + "\n")
    if options.docs:
        before, mark, _ = options.docs.read_text().partition(MARK)
        options.docs.write_text(f"{before}{mark}\n\n{text}")
    print(text)
    print(f"written: {options.output}/bench.md, {options.output}/bench.json", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
