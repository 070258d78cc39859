"""kbmatch escalate: the pack that spares a support case its first three mails."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kbmatch.cli.input import add_input_options, input_options
from kbmatch.cli.options import add_knowledge_options, knowledge_of

DESCRIPTION = """\
Make a pack for a support case: report (HTML, Markdown, text), diagnosis and signature as JSON, the log, what was not
checked and why, the crash and drgn commands to verify by hand. Nothing of the dump's memory but the evidence is in it.

Names of machines, people, places and secrets are replaced by pseudonyms, the same thing by the same name in every
file. Which stands for what is written to a map file beside the pack: it stays with you. Read the pack before you
send it; --redact-words replaces what only you can know."""

EPILOG = """\
exit status:
  0  the pack is written, whatever the diagnosis
  2  an error: the input cannot be read, the pack cannot be written, bad rules"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument(
        "-o", "--output", metavar="DIR|FILE.tar.gz", type=Path, default=Path("kbmatch-pack.tar.gz"),
        help="where to write (default: kbmatch-pack.tar.gz)",
    )  # fmt: skip
    parser.add_argument(
        "--redact-words", metavar="WORD[,WORD...]", action="append", default=[],
        help="replace these words too, in any case, wherever they stand; @FILE reads one a line",
    )  # fmt: skip
    parser.add_argument("--no-redaction", action="store_true", help="leave all names as they are")
    parser.add_argument("--map", metavar="FILE", type=Path, help="where the map file goes (default: beside the pack)")
    parser.add_argument("--force", action="store_true", help="replace a pack that is there")
    add_knowledge_options(parser)
    add_input_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the pack and the map file; say where they are and what to look at before sending."""
    from kbmatch.cli.case import open_case
    from kbmatch.cli.escalation.pack import pack_files, write_pack
    from kbmatch.cli.escalation.private_case import private_case, redactor_for

    knowledge = knowledge_of(options)
    knowledge.open()
    with input_options(options) as how:
        case = open_case(options.files, knowledge, how)
    redactor = None if options.no_redaction else redactor_for(case, _words(options.redact_words))
    name = Path(case.diagnosis.incident.source.path).name
    is_text = case.diagnosis.incident.source.format in ("console", "transcript")
    source = "log.txt" if is_text else "vmcore" if redactor is not None else name
    private = private_case(case, knowledge, redactor, source)
    counts = None if redactor is None else redactor.names.counts
    files = pack_files(private, knowledge, redacted=counts)
    if redactor is not None:  # folders of rules are named in every report
        hidden = {path: redactor.redact(path) for path in knowledge.stamp.overrides}
        files = {name: _without(data, hidden) for name, data in files.items()}
    map_path = options.map or options.output.with_name(f"{options.output.name}.map.json")
    write_pack(files, options.output, force=options.force)
    print(f"{options.output}: {', '.join(files)}")
    if redactor is not None:
        _write_map(map_path, redactor.names.to_json() + "\n")
        total = sum((counts or {}).values())
        print(f"{map_path}: which pseudonym stands for what ({total}); keep it, do not send it")
        if private.agrees is False:
            print(
                "kbmatch: the redacted log alone does not give the same diagnosis; see MANIFEST.json", file=sys.stderr
            )
    return 0


def _without(data: bytes, hidden: dict[str, str]) -> bytes:
    for text, name in hidden.items():
        data = data.replace(text.encode("utf-8", "surrogateescape"), name.encode())
    return data


def _words(given: list[str]) -> list[str]:
    from kbmatch.engine.errors import UnreadableInput

    words: list[str] = []
    for item in given:
        if item.startswith("@"):
            try:
                words += [line.strip() for line in Path(item[1:]).read_text("utf-8", "replace").splitlines()]
            except OSError as error:
                raise UnreadableInput(f"{item[1:]}: {error.strerror}") from error
        else:
            words += [word.strip() for word in item.split(",")]
    return [word for word in words if word]


def _write_map(path: Path, text: str) -> None:
    from kbmatch.engine.errors import UnreadableInput

    try:
        path.unlink(missing_ok=True)  # an older one may be readable by others
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UnreadableInput(f"{path}: {error.strerror}") from error
