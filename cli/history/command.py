"""kbmatch history: what crashed here before, how often, and what is known of it by now."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kbmatch.cli.history.store import Bug, History, Judged, default_path
from kbmatch.cli.options import add_knowledge_options, knowledge_of
from kbmatch.cli.style import plain_text
from kbmatch.engine.errors import InputError
from kbmatch.engine.fingerprint import DEPTHS, fingerprint

DESCRIPTION = """\
Keep diagnoses and look back. Without an action: all bugs seen, the most frequent first.

  kbmatch history                   every bug: how often, first, last, on which hosts and kernels
  kbmatch history add FILE...       diagnose and keep (kbmatch watch does this by itself)
  kbmatch history show KEY          the crashes of one fingerprint
  kbmatch history refresh           diagnose all of it anew, after an update of the knowledge base"""

EPILOG = """\
exit status:
  0  done; for refresh: something became known
  1  nothing there; for refresh: nothing became known
  2  an error: a file cannot be read, the history cannot be used, bad rules"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("action", nargs="?", choices=("list", "add", "show", "refresh"), default="list")
    parser.add_argument("what", nargs="*", metavar="FILE|KEY")
    parser.add_argument("--history", metavar="FILE", type=Path, help=f"the database (default: {default_path()})")
    parser.add_argument("--depth", choices=DEPTHS, default="culprit", help="how much must agree (default: culprit)")
    parser.add_argument("--host", help="for add: the host that crashed, where the input does not name it")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    add_knowledge_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run one action."""
    path = options.history or default_path()
    if options.action == "add":
        return _add(options, path)
    if not path.is_file():
        print(f"kbmatch: no history yet at {path}; kbmatch history add FILE begins one", file=sys.stderr)
        return 1
    if options.action == "refresh":
        return _refresh(options, path)
    with History(path, create=False) as history:
        if options.action == "show":
            return _show(options, history)
        bugs = history.bugs(options.depth)
    if options.format == "json":
        print(json.dumps({"schema": "kbmatch.history/1", "bugs": [_bug_json(bug) for bug in bugs]}, indent=2))
    else:
        for bug in bugs:
            _print_bug(bug)
    return 0 if bugs else 1


def now_utc() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(name: str) -> str:
    """When a crash was written down: its file's time, else now."""
    try:
        stamp = os.stat(name).st_mtime
        return datetime.datetime.fromtimestamp(stamp, tz=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OSError, ValueError, OverflowError):
        return now_utc()


def _add(options: argparse.Namespace, path: Path) -> int:
    from kbmatch.cli.case import open_case

    if not options.what:
        raise InputError("history add: name the files to diagnose and keep")
    knowledge = knowledge_of(options)
    status = 0
    with History(path) as history:
        for name in options.what:
            try:
                case = open_case([name], knowledge)
            except InputError as error:
                print(f"kbmatch: {error}", file=sys.stderr)
                status = 2
                continue
            incident = case.diagnosis.incident
            index = incident.fatal_index
            if index is None:
                print(f"{name}: no crash in it, nothing to keep")
                continue
            keys = fingerprint(incident.events[index], knowledge.helper_frames, incident.kernel.release)
            new = history.add(
                case.diagnosis,
                keys,
                digest=knowledge.stamp.digest,
                seen=time_of(incident.source.path),
                now=now_utc(),
                host=options.host,
                log=case.log,
            )
            bug = history.bugs("culprit", keys.culprit)[0]
            what = f"seen {bug.count} times" if bug.count > 1 else "seen for the first time"
            print(plain_text(f"{name}: {keys.words}: {'kept' if new else 'was kept already'}, {what} ({keys.culprit})"))
    return status


def _show(options: argparse.Namespace, history: History) -> int:
    if len(options.what) != 1:
        raise InputError("history show: name one fingerprint, as kbmatch history lists them")
    found = list(history.crashes(options.what[0]))
    if options.format == "json":
        crashes = [
            {"seen": c.seen, "host": c.host, "release": c.release, "source": c.source, **asdict(c.judged)}
            for c in found
        ]
        print(json.dumps({"schema": "kbmatch.history/1", "key": options.what[0], "crashes": crashes}, indent=2))
    else:
        for crash in found:
            place = f"{crash.host or 'host unknown'}  {crash.release or 'kernel unknown'}"
            print(plain_text(f"{crash.seen}  {place}  {_judged(crash.judged)}  {crash.source}"))
    if not found:
        print(f"kbmatch: no crash with the fingerprint {options.what[0]}", file=sys.stderr)
    return 0 if found else 1


def _refresh(options: argparse.Namespace, path: Path) -> int:
    from kbmatch.cli.history.refresh import refresh

    knowledge = knowledge_of(options)
    with History(path) as history:
        changes = list(refresh(history, knowledge))
    known = [change for change in changes if change.became_known]
    if options.format == "json":
        rows = [
            {
                "key": c.stored.key, "seen": c.stored.seen, "host": c.stored.host, "release": c.stored.release,
                "source": c.stored.source, "became_known": c.became_known, "before": asdict(c.before),
                "after": asdict(c.after),
            }
            for c in changes
        ]  # fmt: skip
        print(json.dumps({"schema": "kbmatch.history-refresh/1", "changes": rows}, indent=2))
    else:
        for c in changes:
            mark = "became known" if c.became_known else "changed"
            place = f"{c.stored.seen}, {c.stored.host or 'host unknown'}, {c.stored.release or 'kernel unknown'}"
            print(plain_text(f"{mark}: {place}: {_judged(c.before)} -> {_judged(c.after)}"))
        print(f"{len(known)} crashes became known, {len(changes) - len(known)} changed otherwise")
    return 0 if known else 1


def _judged(judged: Judged) -> str:
    if judged.rule is None:
        return judged.outcome
    fixed = f", fixed in {judged.fixed}" if judged.fixed else ""
    return f"{judged.verdict}: {judged.rule}{fixed}"


def _bug_json(bug: Bug) -> dict[str, Any]:
    return asdict(bug)


def _print_bug(bug: Bug) -> None:
    times = "once" if bug.count == 1 else f"{bug.count} times"
    span = bug.first if bug.count == 1 else f"{bug.first} to {bug.last}"
    print(plain_text(f"{bug.key}  {times}  {bug.words}"))
    print(plain_text(f"    {_judged(bug.judged)}"))
    print(plain_text(f"    {span}; hosts: {_some(bug.hosts)}; kernels: {_some(bug.releases)}"))


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "unknown"
