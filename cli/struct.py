"""kbmatch struct: one struct out of a dump's memory, as crash prints it."""

from __future__ import annotations

import argparse

from kbmatch.cli.input import add_input_options, input_options

DESCRIPTION = """\
Print one struct of a dump's memory as crash's struct command does. TYPE is "struct x", x, or "struct x.member";
ADDRESS is hexadecimal or a symbol. Types come from the BTF in the dump, --debuginfo files, or the knowledge base."""

EPILOG = """\
example: kbmatch struct vmcore "struct netfront_queue.rx" ffff8b0341068000
exit status: 0, or 2 if the dump, the type or the address cannot be read"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dump", metavar="DUMP")
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("address", metavar="ADDRESS")
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print the struct."""
    from kbmatch.cli.style import plain_text
    from kbmatch.collectors.dump import open_dump
    from kbmatch.collectors.types.of_dump import struct_lines
    from kbmatch.kb.store.knowledge import KnowledgeBase

    with (
        input_options(options) as how,
        open_dump(
            options.dump,
            kaslr=how.kaslr,
            phys_base=how.phys_base,
            vmcoreinfo=how.vmcoreinfo,
            max_unpacked=how.max_unpacked,
            progress=how.progress,
        ) as dump,
    ):
        layouts = KnowledgeBase().layouts()
        for line in struct_lines(dump, options.type, options.address, layouts, how.debuginfo):
            print(plain_text(line))
        if how.debuginfo is not None:
            how.debuginfo.save()
    return 0
