"""kbmatch core against makedumpfile --dump-dmesg, crash (log + bt) and drgn (dmesg + crashed trace), on one vmcore.

usage: python bench/compare_dump_readers.py [--rounds N] [VMCORE [VMLINUX]]

Without arguments: a dump of ../shared and the vmlinux of Debian's -dbg package (apt-get install
linux-image-6.1.0-56-cloud-amd64-dbg). A tool that is not installed is left out, and said so.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Measured, alternate, table

ROOT = Path(__file__).resolve().parent.parent
VMCORE = ROOT.parent / "shared/dumps/a-napi.trim.zlib.vmcore"
VMLINUX = Path("/usr/lib/debug/boot/vmlinux-6.1.0-56-cloud-amd64")

DRGN = """
import sys, drgn
from drgn.helpers.linux.printk import get_dmesg
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
prog.load_debug_info([sys.argv[2]])
sys.stdout.buffer.write(get_dmesg(prog))
print(prog.crashed_thread().stack_trace())
"""


def version(command: list[str]) -> str:
    """First line of what the tool says of its version."""
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return (found.stdout or found.stderr).strip().split("\n")[0]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("vmcore", nargs="?", type=Path, default=VMCORE)
    arguments.add_argument("vmlinux", nargs="?", type=Path, default=VMLINUX)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    if not options.vmcore.is_file():
        print(f"{options.vmcore}: no such dump; name one", file=sys.stderr)
        return 2
    kbmatch = str(Path(sys.executable).parent / "kbmatch")
    dump, vmlinux = str(options.vmcore), str(options.vmlinux)
    with tempfile.TemporaryDirectory() as folder:
        ours = Measured("kbmatch core", [kbmatch, "core", dump])
        commands = [ours, Measured("python -c pass", [sys.executable, "-c", "pass"])]
        versions = [f"kbmatch: {version([kbmatch, '--version'])}", f"Python {platform.python_version()}"]
        missing: list[str] = []
        if shutil.which("makedumpfile"):
            target = f"{folder}/dmesg"
            commands.append(Measured("makedumpfile --dump-dmesg", ["makedumpfile", "-f", "--dump-dmesg", dump, target]))
            versions.append(version(["makedumpfile", "--version"]))
        else:
            missing.append("makedumpfile")
        if shutil.which("crash") and options.vmlinux.is_file():
            commands.append(Measured("crash, log and bt", ["crash", "-s", vmlinux, dump], b"log\nbt\nquit\n"))
            versions.append(version(["crash", "--version"]))
        else:
            missing.append("crash with a vmlinux")
        try:
            import drgn

            if options.vmlinux.is_file():
                script = [sys.executable, "-c", DRGN, dump, vmlinux]
                commands.append(Measured("drgn, dmesg and crashed trace", script))
                versions.append(f"drgn {drgn.__version__}")
        except ImportError:
            missing.append("drgn")
        alternate(commands, options.rounds)
    print(f"{options.vmcore.name}, {options.vmcore.stat().st_size >> 10} KiB, {options.rounds} rounds, medians\n")
    print(table(commands, ours))
    print("\n" + "; ".join(versions))
    if missing:
        print("left out, not installed: " + ", ".join(missing))
    return 0


if __name__ == "__main__":
    sys.exit(main())
