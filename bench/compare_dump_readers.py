"""kbmatch core against makedumpfile --dump-dmesg, crash (log, bt) and drgn (dmesg, crashed trace), dump by dump.

usage: python bench/compare_dump_readers.py [--rounds N] [--drgn-venv DIR] [--json FILE] [VMCORE...] [--vmlinux FILE]

Without arguments: the dumps of ../shared that are read as they are, and the vmlinux of Debian's -dbg package (apt-get
install crash linux-image-6.1.0-56-cloud-amd64-dbg). bench/make_vmcore.py makes a whole dump of that kernel. drgn comes
from PyPI into a venv of its own (--drgn-venv, made once; without it the drgn of this venv is taken). A tool that is not
installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from installed import add_installed, command, installed
from measure import Measured, alternate, number
from section import Bar, Section, run_alone, shown_name
from surroundings import ROOT, first_line

DUMPS = ROOT.parent / "shared/dumps"
VMCORES = (DUMPS / "a-napi-kdump.trim.zlib.vmcore",)
VMLINUX = Path("/usr/lib/debug/boot/vmlinux-6.1.0-56-cloud-amd64")
CRASH, DRGN, PYTHON, PYTHON_CODE = 40, 4, 10, 20

DRGN_SCRIPT = """
import sys, drgn
from drgn.helpers.linux.printk import get_dmesg
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
prog.load_debug_info([sys.argv[2]])
sys.stdout.buffer.write(get_dmesg(prog))
print(prog.crashed_thread().stack_trace())
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vmcores", metavar="VMCORE", nargs="*", type=Path, default=list(VMCORES))
    parser.add_argument("--vmlinux", type=Path, default=VMLINUX)
    parser.add_argument("--drgn-venv", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    add_installed(parser)


def drgn_python(venv: Path | None) -> tuple[str, str] | None:
    """The Python that has drgn, and drgn's version; None if there is none."""
    python = sys.executable
    if venv is not None:
        python = str(venv / "bin/python")
        if not Path(python).exists():
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", "drgn"], check=False, capture_output=True)
        if first_line([python, "-c", "import drgn"]) is not None:  # it complained
            python = sys.executable
    version = first_line([python, "-c", "import drgn; print(drgn.__version__)"]) or ""
    return (python, version) if version[:1].isdigit() else None


def measure(options: argparse.Namespace) -> Section:
    """All tools on all dumps."""
    section = Section(
        f"A vmcore to a verdict, {options.rounds} rounds",
        [
            "dump",
            "command",
            "CPU s",
            "wall s",
            "peak MiB",
            "CPU / kbmatch",
            "wall / kbmatch",
            "memory / kbmatch",
            "exit",
        ],
    )
    vmcores = [path for path in options.vmcores if path.is_file()]
    section.skipped += [f"{path} is not there" for path in options.vmcores if path not in vmcores]
    drgn = drgn_python(options.drgn_venv)
    if drgn is None:
        section.skipped.append("drgn is not installed (pip install drgn)")
    if not shutil.which("makedumpfile"):
        section.skipped.append("makedumpfile is not installed (apt-get install makedumpfile)")
    if not shutil.which("crash"):
        section.skipped.append("crash is not installed (apt-get install crash)")
    if not options.vmlinux.is_file():
        section.skipped.append(f"crash and drgn need {options.vmlinux} (apt-get install linux-image-RELEASE-dbg)")
    with installed(options) as base:
        for vmcore in vmcores:
            _one(vmcore, options, base, drgn, section)
    if drgn is not None:
        section.notes.append(
            f"drgn {drgn[1]} (dmesg, trace of the crashed thread) and crash (log, bt) are given the vmlinux; kbmatch "
            "is given nothing. Where another tool's exit is not 0 it failed on the dump, and no bar is held against it."
        )
    return section


def _one(vmcore: Path, options: argparse.Namespace, base: Path, drgn: tuple[str, str] | None, section: Section) -> None:
    dump, vmlinux = str(vmcore), str(options.vmlinux)
    ours = Measured("kbmatch core", command(base, "core", dump))
    python = Measured("python -c pass", [sys.executable, "-c", "pass"])
    crash = theirs = None
    commands = [ours, python]
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("makedumpfile"):
            words = ["makedumpfile", "-f", "--dump-dmesg", dump, f"{folder}/dmesg"]
            commands.append(Measured("makedumpfile --dump-dmesg", words))
        if shutil.which("crash") and options.vmlinux.is_file():
            crash = Measured("crash: vmlinux, log, bt", ["crash", "-s", vmlinux, dump], b"log\nbt\nquit\n")
            commands.append(crash)
        if drgn is not None and options.vmlinux.is_file():
            theirs = Measured("drgn: vmlinux, dmesg, trace", [drgn[0], "-c", DRGN_SCRIPT, dump, vmlinux])
            commands.append(theirs)
        alternate(commands, options.rounds)
    shown = f"{shown_name(vmcore)}, {number(vmcore.stat().st_size / 1e6)} MB"
    for c in commands:
        cells = [shown, c.name, number(c.median_cpu), number(c.median_wall), number(c.median_peak)]
        memory = number(c.median_peak / ours.median_peak)
        section.rows.append([*cells, c.cpu_ratio(ours).shown(), c.wall_ratio(ours).shown(), memory, str(c.status)])
    section.figures[shown_name(vmcore)] = {c.name: c.figures() for c in commands}
    code = decodes(base, dump)
    limit = PYTHON_CODE if code else PYTHON
    what = "with" if code else "without"
    section.bars.append(
        Bar(
            f"{shown_name(vmcore)} ({what} a `Code:` line): CPU / `python -c pass`",
            ours.cpu_ratio(python).median,
            limit,
        )
    )
    for other, factor in ((crash, CRASH), (theirs, DRGN)):
        if other is not None and other.status == 0:
            section.bars.append(
                Bar(
                    f"{shown_name(vmcore)}: CPU of {other.name.split(':')[0]} / kbmatch",
                    other.cpu_ratio(ours).median,
                    factor,
                    True,
                )
            )


def decodes(base: Path, dump: str) -> bool:
    """Whether kbmatch decodes an instruction of the dump's log, so that capstone's library is loaded."""
    script = (
        f"import sys, io, contextlib; sys.path.insert(0, {str(base)!r}); from kbmatch.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(sys.argv[1:])\n"
        "print('kbmatch.collectors.instructions.decode' in sys.modules)"
    )
    return first_line([sys.executable, "-c", script, "core", dump]) == "True"


if __name__ == "__main__":
    sys.exit(run_alone(__doc__, measure, add_options))
