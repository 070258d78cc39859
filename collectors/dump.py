"""A kernel dump, opened: its kernel, machine, log and memory, whatever the container.

    open_dump(path) -> Container -> VMCOREINFO -> Memory -> printk records -> text

No vmlinux is needed. What cannot be had is None and has a note.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from kbmatch.collectors.containers.container import Container
from kbmatch.collectors.containers.opening import open_container
from kbmatch.collectors.containers.source import FileSource
from kbmatch.collectors.memory.kernel_space import kaslr_offset, read_utsname, x86_64_memory
from kbmatch.collectors.memory.memory import Memory
from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from kbmatch.collectors.printk.record import LogReading, format_records
from kbmatch.collectors.printk.ringbuffer import read_ringbuffer
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable
from kbmatch.engine.incident import Kernel, Machine, Note


class Dump:
    """An open dump. A context manager; `close` gives the file back.

    `format` and `size` are the container's; `memory` is None where no address translation could be found;
    `notes` are what the user should know: damage, lost records.
    """

    def __init__(self, container: Container, name: str) -> None:
        self.container = container
        self.name = name
        self.format = container.format
        self.size = container.size
        self._notes = [Note("warning", text) for text in container.problems]
        self.vmcoreinfo: VmcoreInfo = parse_vmcoreinfo(container.vmcoreinfo or b"")
        self.memory: Memory | None = None
        self._log: LogReading | None = None
        self._open_memory()
        uts = read_utsname(self.memory, self.vmcoreinfo) if self.memory is not None else None
        info = self.vmcoreinfo
        self.kernel = Kernel(
            release=info.release or (uts["release"] if uts else None),
            version=uts["version"] if uts else None,
            arch=container.machine,
            build_id=info.build_id,
            kaslr_offset=kaslr_offset(info),
            phys_base=self._phys_base,
        )
        hostname = uts["nodename"] if uts else None
        self.machine = Machine(
            cpus=container.cpus, hostname=None if hostname in (None, "", "(none)") else hostname
        )

    def _open_memory(self) -> None:
        info = self.vmcoreinfo
        self._phys_base = info.phys_base()
        if self._phys_base is None:
            self._phys_base = self.container.phys_base
        if self._phys_base is not None and info.symbols:
            self.memory = x86_64_memory(self.container, info, self._phys_base)

    def __enter__(self) -> Dump:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; nothing can be read afterwards."""
        self.container.close()

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the user should know, in the order found; reading the log adds to it."""
        return tuple(self._notes)

    def read_log(self) -> LogReading:
        """The kernel's log records, oldest first. Read once, never raises: what is missing becomes a note."""
        if self._log is None:
            self._log = self._read_log()
            for why, count in self._log.lost.items():
                records = f"{count} record{'s' if count != 1 else ''} lost: " if count else ""
                self._notes.append(Note("warning", f"log torn: {records}{why}"))
        return self._log

    def _read_log(self) -> LogReading:
        pointer = self.vmcoreinfo.symbols.get("prb")
        if self.memory is None or pointer is None:
            self._notes.append(Note("error", "no kernel log: VMCOREINFO does not tell where it is"))
            return LogReading([])
        try:
            return read_ringbuffer(self.memory, self.vmcoreinfo, pointer)
        except (MemoryUnavailable, DamagedDump) as error:
            self._notes.append(Note("error", f"no kernel log: {error}"))
            return LogReading([])

    def log_text(self) -> bytes:
        """The kernel log as dmesg prints it, oldest first, without what processes wrote to /dev/kmsg.

        Such records (facility not 0) can look like an oops; they are counted in a note.
        """
        records = self.read_log().records
        kernel = [r for r in records if r.facility == 0]
        if len(kernel) < len(records) and not any("/dev/kmsg" in n.text for n in self._notes):
            count = len(records) - len(kernel)
            self._notes.append(
                Note(
                    "info",
                    f"{count} log record{'s' if count != 1 else ''} left out: written by processes to"
                    f" /dev/kmsg",
                )
            )
        return format_records(kernel)


def open_dump(path: str | Path) -> Dump:
    """The dump at `path`.

    Raises NotACrashFile (no dump), UnsupportedFormat, DamagedDump, UnreadableInput.
    """
    source = FileSource(path)
    container = open_container(source)
    try:
        return Dump(container, str(path))
    except BaseException:
        container.close()
        raise
