"""kbmatch rule schema: writes the JSON Schemas of knowledge files and the reference pages, or checks them."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTIONS = {
    "schema": """\
Write the JSON Schemas (draft-07) that editors use for completion and check-jsonschema for checking: into FOLDER
(default: schema), as <name>.schema.json. In kbmatch's own repository, --docs writes the reference pages too.""",
}


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=Path("schema"))
    parser.add_argument("--docs", metavar="DOCS", type=Path, help="write the reference and lint pages below DOCS too")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not up to date")


def run(options: argparse.Namespace) -> int:
    """Write or check. Exit status: 0, or 1 with --check if a file is not up to date."""
    from kbmatch.kb.authoring.reference import pages
    from kbmatch.kb.authoring.schemas import schema_files

    wanted = {options.folder / name: text for name, text in schema_files().items()}
    if options.docs is not None:
        wanted |= {options.docs / name: text for name, text in pages().items()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if options.check:
            print(f"{path} is not up to date: run kbmatch rule schema")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path}")
    return 1 if options.check and stale else 0
