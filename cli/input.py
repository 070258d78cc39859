"""From what the user names to an incident with all that knowledge can derive: product, stream, culprits."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kbmatch.collectors.collect import CollectOptions, collect
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Incident, LogText, Note
from kbmatch.engine.values import replace
from kbmatch.kb.store.knowledge import KnowledgeBase

if TYPE_CHECKING:
    from kbmatch.collectors.types.debuginfo import DebugInfo

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def read_incident(names: Sequence[str], knowledge: KnowledgeBase, how: CollectOptions | None = None) -> Incident:
    """The incident behind a file, the pieces of a split dump, a folder or "-". Raises InputError, KnowledgeError."""
    log: list[bytes] = []
    how = how or CollectOptions()
    asked = how.keep_log

    def keep(data: bytes) -> None:
        log.append(data)
        if asked is not None:
            asked(data)

    incident = collect(names, knowledge, replace(how, keep_log=keep))
    if how.kernel is not None:
        incident = _told_kernel(incident, how.kernel)
    return replace(
        incident,
        log=LogText(log[0]) if log else None,
        kernel=knowledge.products.identify(incident.kernel),
        events=assign_culprits(incident.events, knowledge.helper_frames),
    )


def _told_kernel(incident: Incident, told: str) -> Incident:
    """The incident with the kernel that the user named; what the input says of another one is noted."""
    release, _, version = told.strip().removeprefix("Linux version ").partition(" ")
    known = incident.kernel.release
    kernel = replace(
        incident.kernel, release=release, version=version.strip() or None, product=None, stream=None,
        package_version=None, upstream_base=None, banner=None,
    )  # fmt: skip
    if known == release:
        return incident
    text = f"the kernel {release} was told by --kernel" + (f"; the input says {known}" if known else "")
    events = tuple(replace(e, release=None) if e.release == known else e for e in incident.events)
    note = Note("warning" if known else "info", text)
    return replace(incident, kernel=kernel, events=events, notes=(*incident.notes, note))


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say how an input is to be read."""
    parser.add_argument(
        "--kernel", metavar="RELEASE", type=_release,
        help="the kernel that crashed, as uname -r prints it, where the input does not say",
    )  # fmt: skip
    group = parser.add_argument_group("dumps", "kbmatch finds these itself; here they can be overruled")
    group.add_argument("--kaslr", metavar="OFFSET", type=_number, help="KASLR offset of the kernel, e.g. 0x25000000")
    group.add_argument("--phys-base", metavar="ADDRESS", type=_number, help="phys_base of the kernel")
    group.add_argument("--vmcoreinfo", metavar="FILE", help="take VMCOREINFO from this text file")
    group.add_argument(
        "--max-unpacked", metavar="SIZE", type=_size,
        help="what a compressed input may grow to, e.g. 64G (default: twice the memory)",
    )  # fmt: skip
    types = parser.add_argument_group("types", "for kernels and modules that do not bring their own")
    types.add_argument(
        "--debuginfo", metavar="FILE", action="append", default=[],
        help="read types from this vmlinux or .ko (DWARF or BTF), or from those below this folder",
    )  # fmt: skip
    types.add_argument(
        "--debuginfod", action="store_true",
        help="fetch the kernel's debuginfo by build id from the servers that DEBUGINFOD_URLS names",
    )  # fmt: skip


@contextmanager
def input_options(options: argparse.Namespace) -> Iterator[CollectOptions]:
    """The declared options as a value; within the context, unpacking shows its progress on a terminal."""
    from kbmatch.cli.progress import ProgressBar

    vmcoreinfo = None
    if options.vmcoreinfo is not None:
        try:
            vmcoreinfo = Path(options.vmcoreinfo).read_bytes()
        except OSError as error:
            raise UnreadableInput(f"{options.vmcoreinfo}: {error.strerror}") from error
    with ProgressBar("unpacking") as bar:
        yield CollectOptions(
            options.kaslr, options.phys_base, vmcoreinfo, options.max_unpacked, bar,
            debuginfo=debug_info(options), kernel=options.kernel,
        )  # fmt: skip


def debug_info(options: argparse.Namespace) -> DebugInfo | None:
    """The type information that the options name, None where they name none. Raises UnreadableInput.

    The network is asked only with --debuginfod, or where KBMATCH_DEBUGINFOD names servers itself.
    """
    urls = os.environ.get("KBMATCH_DEBUGINFOD", "").split()
    if options.debuginfod and not urls:
        urls = os.environ.get("DEBUGINFOD_URLS", "").split()
        if not urls:
            raise UnreadableInput("--debuginfod: no server is known; set DEBUGINFOD_URLS")
    if not options.debuginfo and not urls:
        return None
    from kbmatch.collectors.types.debuginfo import DebugInfo

    if not urls:
        return DebugInfo(options.debuginfo)
    from kbmatch.cli.progress import ProgressBar
    from kbmatch.collectors.types.debuginfod import Debuginfod

    return DebugInfo(options.debuginfo, Debuginfod(urls, ProgressBar("fetching debuginfo")))


def _release(text: str) -> str:
    if not re.match(r"(?:Linux version )?[0-9]{1,2}\.[0-9]{1,3}", text.strip()) or len(text) > 512:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no kernel release; write what uname -r prints there")
    return " ".join(text.split())


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write 0x... for hexadecimal") from None


def _size(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if not number.isdigit() or unit not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write a number of bytes, or 64G")
    return int(number) * _UNITS[unit]
