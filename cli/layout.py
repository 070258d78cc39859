"""kbmatch layout: write layout files, so that kernels without type information can be read too."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
extract: write a layout file (kb/layouts/) with the offsets of some structs, out of a debuginfo file with DWARF or BTF.
Name each struct as "struct x" or x. The file's release and build id say for which kernel it is."""

EPILOG = """\
example: kbmatch layout extract xen-netfront.ko.debug "struct netfront_queue" napi_struct > layouts/mine.yaml
exit status: 0, or 2 if the file cannot be read or does not know a struct"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", choices=("extract",))
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("structs", metavar="STRUCT", nargs="+")
    parser.add_argument("--id", help="the layout's id (default: made of module and release)")
    parser.add_argument(
        "--release", metavar="RELEASE", help="the kernel release it is for, where the file does not tell"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file (default: standard output)")


def run(options: argparse.Namespace) -> int:
    """Write the layout."""
    from pathlib import Path

    from kbmatch.collectors.types.debuginfo import FileTypes
    from kbmatch.collectors.types.layout_file import layout_of, layout_text
    from kbmatch.engine.errors import UnreadableInput

    path = Path(options.file)
    file = FileTypes(path)
    try:
        layout = layout_of(file, options.structs, options.id, options.release)
    finally:
        file.save()
    text = layout_text(layout)
    if options.output is None:
        print(text, end="")
        return 0
    try:
        Path(options.output).write_text(text)
    except OSError as error:
        raise UnreadableInput(f"{options.output}: {error.strerror}") from error
    return 0
