"""A kernel dump, opened: its kernel, machine, log and memory, whatever the container.

    open_dump(path) -> Container -> VMCOREINFO -> Memory -> printk records -> text

No vmlinux is needed. What cannot be had is None and has a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kbmatch.collectors.containers.opening import open_files
from kbmatch.collectors.memory.kernel_space import open_kernel_space
from kbmatch.collectors.printk.record import RecordReading, format_records
from kbmatch.engine.errors import DamagedDump, MemoryUnavailable
from kbmatch.engine.incident import Kernel, Machine, Note
from kbmatch.engine.values import replace

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from kbmatch.collectors.containers.container import Container
    from kbmatch.collectors.containers.unpack import Progress
    from kbmatch.collectors.memory.facts import KernelFacts
    from kbmatch.collectors.memory.kallsyms import Kallsyms
    from kbmatch.collectors.memory.memory import Memory
    from kbmatch.collectors.memory.stacks import CpuStack
    from kbmatch.collectors.memory.vmcoreinfo import VmcoreInfo

NO_KERNEL = (
    "the kernel was not found in the dump: no VMCOREINFO, and neither page tables nor memory tell where it is;"
    " --vmcoreinfo, or --kaslr and --phys-base, can"
)

# Distribution kernels are 30 to 50 MiB large from _stext to _end.
_IMAGE_SPAN = 96 << 20


class Dump:
    """An open dump. A context manager; `close` gives the file back.

    `format` and `size` are the container's; `memory` is None where no address translation could be found;
    `notes` are what the user should know: damage, lost records.
    """

    def __init__(
        self,
        container: Container,
        name: str,
        *,
        kaslr: int | None = None,
        phys_base: int | None = None,
        vmcoreinfo: bytes | None = None,
    ) -> None:
        self.container = container
        self.name = name
        self.format = container.format
        self.size = container.size
        self._notes: list[Note] = []
        self._log: RecordReading | None = None
        self._symbols: Kallsyms | None = None
        self._symbols_searched = False
        self._facts: KernelFacts | None = None
        space = open_kernel_space(container, kaslr=kaslr, phys_base=phys_base, vmcoreinfo=vmcoreinfo)
        self.space = space
        self.vmcoreinfo: VmcoreInfo = space.info
        self.memory: Memory | None = space.memory
        self._notes += [Note("info", text) for text in space.remarks]
        if self.memory is None:
            self._notes.append(Note("error", NO_KERNEL))
        uts = space.uts
        self.kernel = Kernel(
            release=space.info.release or (uts["release"] if uts else None),
            version=(uts["version"] or None) if uts else None,
            arch=container.machine,
            build_id=space.info.build_id,
            kaslr_offset=space.kaslr_offset,
            phys_base=space.phys_base,
        )
        hostname = uts["nodename"] if uts else None
        self.machine = Machine(cpus=container.cpus, hostname=None if hostname in (None, "", "(none)") else hostname)

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
        return (*(Note("warning", text) for text in self.container.problems), *self._notes)

    @property
    def symbols(self) -> Kallsyms | None:
        """The kernel's own symbols, found on first use (some 10 ms, a search by name 100 ms); None without them."""
        if not self._symbols_searched and self.memory is not None:
            from kbmatch.collectors.memory.kallsyms import open_kallsyms

            self._symbols_searched = True
            self._symbols = open_kallsyms(self.memory, self.vmcoreinfo) or self._search_symbols(self.memory)
        return self._symbols

    def _search_symbols(self, memory: Memory) -> Kallsyms | None:
        """VMCOREINFO tells where the symbols are since 6.0; before, they are looked for in the image."""
        from kbmatch.collectors.memory.kallsyms_search import find_kallsyms

        start = self.vmcoreinfo.symbols.get("_stext")
        start, length = self.space.image or (start, _IMAGE_SPAN)
        return None if start is None else find_kallsyms(memory, start & ~0xFFF, length)

    def addresses(self, *names: str) -> dict[str, int]:
        """Addresses of kernel symbols by name, without those that are not known. Never raises."""
        try:
            return self.symbols.find(names) if self.symbols is not None else {}
        except (MemoryUnavailable, DamagedDump):
            return {}

    def stacks(self) -> Iterator[CpuStack]:
        """Registers and call trace of every CPU, in the order of the notes; none without symbols. Never raises.

        Some milliseconds each: a caller that looks for one CPU should stop when it has found it.
        """
        if self.memory is None or self.symbols is None:
            return
        from kbmatch.collectors.memory.stacks import cpu_stack

        for cpu in self.container.registers:
            try:
                yield cpu_stack(self.memory, self.symbols, cpu)
            except (MemoryUnavailable, DamagedDump):
                return

    def facts(self) -> KernelFacts:
        """Command line, taint, banner and panic CPU out of memory, each None where it cannot be read."""
        from kbmatch.collectors.memory.facts import FACT_SYMBOLS, read_facts

        if self._facts is None:
            found = self.addresses(*FACT_SYMBOLS) if self.memory is not None else {}
            self._facts = read_facts(self.memory, found)
        return self._facts

    def complete(self, kernel: Kernel) -> Kernel:
        """`kernel` with banner, taint and live-patch state out of memory where the log (one that wrapped) had none.

        Costs nothing where nothing is missing, else a search of the symbols (100 ms). Never raises.
        """
        if kernel.banner is not None and kernel.taint is not None:
            return kernel
        facts = self.facts()
        taint = kernel.taint if kernel.taint is not None else facts.taint
        livepatched = kernel.livepatched
        if livepatched is None and taint is not None:
            livepatched = "K" in taint
        return replace(kernel, banner=kernel.banner or facts.banner, taint=taint, livepatched=livepatched)

    def read_log(self) -> RecordReading:
        """The kernel's log records, oldest first. Read once, never raises: what is missing becomes a note."""
        if self._log is None:
            self._log = self._read_log()
            for why, count in self._log.lost.items():
                records = f"{count} record{'s' if count != 1 else ''} lost: " if count else ""
                self._notes.append(Note("warning", f"log torn: {records}{why}"))
        return self._log

    def _read_log(self) -> RecordReading:
        if self.memory is None:
            return RecordReading([])
        info = self.vmcoreinfo
        try:
            if {"log_buf", "log_buf_len", "log_first_idx", "log_next_idx"} <= info.symbols.keys():
                from kbmatch.collectors.printk.structured import read_structured

                return read_structured(self.memory, info)
            if {"log_buf", "log_buf_len", "log_end"} <= info.symbols.keys():
                from kbmatch.collectors.printk.byte_buffer import read_byte_buffer

                return read_byte_buffer(self.memory, info)
            pointer = info.symbols.get("prb") or self.addresses("prb").get("prb")
            if pointer is not None:
                from kbmatch.collectors.printk.ringbuffer import read_ringbuffer

                return read_ringbuffer(self.memory, info, pointer)
        except (MemoryUnavailable, DamagedDump) as error:
            self._notes.append(Note("error", f"no kernel log: {error}"))
            return RecordReading([])
        self._notes.append(Note("error", "no kernel log: neither VMCOREINFO nor the kernel's symbols tell where it is"))
        return RecordReading([])

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
                    f"{count} log record{'s' if count != 1 else ''} left out: written by processes to /dev/kmsg",
                )
            )
        return format_records(kernel)


def open_dump(
    path: str | Path | Sequence[str | Path],
    *,
    kaslr: int | None = None,
    phys_base: int | None = None,
    vmcoreinfo: bytes | None = None,
    max_unpacked: int | None = None,
    progress: Progress | None = None,
) -> Dump:
    """The dump at `path` ("-": standard input; several paths: the pieces of one split set).

    `kaslr`, `phys_base` and `vmcoreinfo` (the text) overrule what the dump tells. Compressed files are
    unpacked up to `max_unpacked` bytes (twice the memory by default), telling `progress`. Raises
    NotACrashFile (no dump), UnsupportedFormat, DamagedDump, UnreadableInput.
    """
    paths: list[str | Path] = list(path) if isinstance(path, Sequence) and not isinstance(path, str) else [path]
    container = open_files(paths, max_unpacked, progress)
    try:
        return Dump(container, str(paths[0]), kaslr=kaslr, phys_base=phys_base, vmcoreinfo=vmcoreinfo)
    except BaseException:
        container.close()
        raise
