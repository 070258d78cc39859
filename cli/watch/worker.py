"""Diagnoses one crash for the watcher, in a process of its own: hostile dumps end this process, not the watcher.

Called as `python -m kbmatch.cli.watch.worker` with one JSON object on standard input; prints one on standard output.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from kbmatch.engine.errors import KbmatchError

SCHEMA = "kbmatch.crash/1"


def diagnose_for_watch(order: dict[str, Any]) -> dict[str, Any]:
    """Diagnose `order["input"]`, write the reports and the history's row, and return the crash record.

    Everything here may be done twice without harm: files are replaced whole, the history knows the crash.
    """
    from kbmatch.cli.case import open_case
    from kbmatch.cli.history.command import now_utc, time_of
    from kbmatch.cli.reports.html_report import html_report
    from kbmatch.cli.reports.markdown_report import markdown_report
    from kbmatch.cli.reports.view import report_view
    from kbmatch.engine.contract import diagnosis_to_json
    from kbmatch.kb.store.knowledge import KnowledgeBase

    site = Path(order["site"]) if order["site"] else None
    knowledge = KnowledgeBase([Path(folder) for folder in order["rules"]], drafts=order["drafts"], site=site)
    case = open_case([order["input"]], knowledge)
    diagnosis = case.diagnosis
    incident = diagnosis.incident
    view = report_view(diagnosis, knowledge, case.log)
    host = incident.machine.hostname or order["host"]
    found = diagnosis_to_json(diagnosis, knowledge.stamp)
    keys = view.fingerprint
    bug = None
    if keys is not None and order["history"]:
        from kbmatch.cli.history.store import History

        with History(Path(order["history"])) as history:
            history.add(
                diagnosis,
                keys,
                digest=knowledge.stamp.digest,
                seen=time_of(order["input"]),
                now=now_utc(),
                host=host,
                log=case.log,
            )
            bug = history.bugs("culprit", keys.culprit)[0]
    best = view.findings[0] if view.findings else None
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "id": order["id"],
        "input": order["input"],
        "seen": time_of(order["input"]),
        "host": host,
        "release": incident.kernel.release,
        "outcome": diagnosis.outcome,
        "verdict": best.verdict.value if best else None,
        "rule": best.rule.id if best else None,
        "title": best.rule.title if best else None,
        "fixed": best.recommend.version if best else None,
        "summary": f"{view.word}: {view.sentence}",
        "fingerprint": None
        if keys is None
        else {"culprit": keys.culprit, "frames": keys.frames, "exact": keys.exact, "words": keys.words},
        "times_seen": bug.count if bug else None,
        "reports": [],
    }
    pages = {".html": html_report(view), ".md": markdown_report(view), ".json": json.dumps(found, indent=2) + "\n"}
    record["reports"] = write_reports(pages, [Path(stem) for stem in order["stems"]])
    record["diagnosis"] = found
    return record


def write_reports(pages: dict[str, str], stems: list[Path]) -> list[str]:
    """Write the pages at the first stem that can be written to; each file is replaced whole. Returns the files."""
    last: OSError | None = None
    for stem in stems:
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            return [_write(stem.with_name(stem.name + ending), text) for ending, text in pages.items()]
        except OSError as error:  # read-only, as /sys/fs/pstore is
            last = error
    if last is not None:
        print(f"kbmatch: {stems[-1]}: the report cannot be written: {last.strerror}", file=sys.stderr)
    return []


def _write(path: Path, text: str) -> str:
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(building, path)
    finally:
        building.unlink(missing_ok=True)
    return str(path)


def main() -> int:
    """Read an order, print the record. Exit status 0, or 2 where the crash cannot be read."""
    order = json.load(sys.stdin)
    try:
        record = diagnose_for_watch(order)
    except KbmatchError as error:
        print(f"kbmatch: {error}", file=sys.stderr)
        return 2
    print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
