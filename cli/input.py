"""From what the user names to an incident with all that knowledge can derive: product, stream, culprits."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kbmatch.collectors.collect import CollectOptions, collect
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Incident
from kbmatch.kb.store.knowledge import KnowledgeBase

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def read_incident(names: Sequence[str], knowledge: KnowledgeBase, how: CollectOptions | None = None) -> Incident:
    """The incident behind a file, the pieces of a split dump, a folder or "-". Raises InputError, KnowledgeError."""
    incident = collect(names, knowledge, how)
    return replace(
        incident,
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
        "--max-unpacked", metavar="SIZE", type=_size, help="what a compressed input may grow to, e.g. 64G (default: twice the memory)"
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
        yield CollectOptions(options.kaslr, options.phys_base, vmcoreinfo, options.max_unpacked, bar)


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
