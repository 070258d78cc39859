"""Makes a whole vmcore to measure on: boots Debian's kernel in QEMU, lets it crash, and has QEMU dump its memory.

usage: python bench/make_vmcore.py [--module KO --trigger WORD] FOLDER     (ten seconds; software emulation is enough)

Needs the Debian packages qemu-system-x86, busybox-static and cpio; fetches the kernel package with apt-get download.
Without --module the crash is sysrq's, whose log decodes no instruction; with the driver of ../shared/dumps/symbols and
napi_null it is an oops. Writes FOLDER/vmcore.elf and FOLDER/vmcore.zlib (kdump-compressed, flattened as QEMU writes
it). For crash and drgn the matching vmlinux is in the package linux-image-RELEASE-dbg.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RELEASE = "6.1.0-56-cloud-amd64"
MEMORY_MIB = 256
BOOT_SECONDS = 240

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
insmod /qemu_fw_cfg.ko
echo 1 > /proc/sys/kernel/sysrq
sleep 1
{crash}
"""
SYSRQ = "echo c > /proc/sysrq-trigger"
OOPS = """insmod /crash.ko
echo {trigger} > /sys/module/{module}/parameters/trigger
sleep 60"""


def fetch_kernel(folder: Path) -> tuple[Path, Path]:
    """vmlinuz and the module that hands VMCOREINFO to QEMU, out of Debian's package."""
    subprocess.run(["apt-get", "download", "-qq", f"linux-image-{RELEASE}"], cwd=folder, check=True)
    (package,) = folder.glob("linux-image-*.deb")
    subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    module = folder / f"root/lib/modules/{RELEASE}/kernel/drivers/firmware/qemu_fw_cfg.ko"
    return folder / f"root/boot/vmlinuz-{RELEASE}", module


def make_initrd(folder: Path, module: Path, crash: Path | None, trigger: str) -> Path:
    """An initial RAM disk of busybox, modules and a script that crashes the kernel."""
    root = folder / "initrd"
    (root / "bin").mkdir(parents=True)
    (root / "proc").mkdir()
    busybox = shutil.which("busybox") or "/bin/busybox"
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "mount", "insmod", "sleep", "echo"):
        (root / "bin" / name).symlink_to("busybox")
    shutil.copy(module, root / "qemu_fw_cfg.ko")
    (root / "sys").mkdir()
    how = SYSRQ
    if crash is not None:
        shutil.copy(crash, root / "crash.ko")
        how = OOPS.format(trigger=trigger, module=crash.stem)
    (root / "init").write_text(INIT.format(crash=how))
    (root / "init").chmod(0o755)
    image = folder / "initrd.cpio"
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with image.open("wb") as output:
        command = ["cpio", "-o", "-H", "newc", "--quiet"]
        subprocess.run(command, input=names.encode(), stdout=output, cwd=root, check=True)
    return image


class Monitor:
    """QEMU's machine protocol (QMP) on a socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self.run("qmp_capabilities")

    def run(self, command: str, **arguments: object) -> object:
        """One command's return value; events in between are passed over."""
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "error" in answer:
                raise RuntimeError(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--module", metavar="KO", type=Path, help="a driver that crashes when its parameter says so")
    parser.add_argument(
        "--trigger", metavar="WORD", default="napi_null", help="what is written to its parameter trigger"
    )
    options = parser.parse_args()
    target = options.folder.resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kernel, module = fetch_kernel(folder)
        initrd = make_initrd(folder, module, options.module, options.trigger)
        console, monitor = folder / "console", folder / "qmp"
        command = [
            "qemu-system-x86_64", "-accel", "tcg", "-m", str(MEMORY_MIB), "-smp", "2", "-display", "none",
            "-no-reboot", "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", "console=ttyS0 panic=0 oops=panic", "-device", "vmcoreinfo", "-nic", "none",
            "-serial", f"file:{console}", "-qmp", f"unix:{monitor},server=on,wait=off",
        ]  # fmt: skip
        with subprocess.Popen(command) as qemu:
            try:
                deadline = time.monotonic() + BOOT_SECONDS
                while not (console.exists() and b"end Kernel panic" in console.read_bytes()):
                    if time.monotonic() > deadline or qemu.poll() is not None:
                        print("the kernel did not crash; its console:", file=sys.stderr)
                        print(console.read_text(errors="replace")[-3000:], file=sys.stderr)
                        return 1
                    time.sleep(1)
                control = Monitor(monitor)
                control.run("stop")
                for suffix, form in (("elf", "elf"), ("zlib", "kdump-zlib")):
                    path = target / f"vmcore.{suffix}"
                    control.run("dump-guest-memory", paging=False, protocol=f"file:{path}", format=form)
                    print(f"{path}: {path.stat().st_size >> 20} MiB")
            finally:
                qemu.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
