"""From what the user names to an incident with all that knowledge can derive: product, stream, culprits."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kbmatch.collectors.collect import CollectOptions, collect
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Incident, LogText
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
    return replace(
        incident,
        log=LogText(log[0]) if log else None,
        kernel=knowledge.products.identify(incident.kernel),
        events=assign_culprits(incident.events, knowledge.helper_frames),
    )


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say how an input is to be read."""
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
            options.kaslr, options.phys_base, vmcoreinfo, options.max_unpacked, bar, debuginfo=debug_info(options)
        )


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
