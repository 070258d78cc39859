"""kbmatch watch: each crash that appears in a folder is diagnosed once."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType

from kbmatch.cli.history.store import default_path
from kbmatch.cli.options import add_knowledge_options
from kbmatch.cli.watch.journal import SOCKET
from kbmatch.cli.watch.ledger import Ledger
from kbmatch.cli.watch.scan import Scanner
from kbmatch.cli.watch.watcher import Watcher, WatchOptions
from kbmatch.cli.watch.webhook import TOKEN, Webhook, is_web_address
from kbmatch.engine.errors import InputError

DESCRIPTION = f"""\
Watch folders (/var/crash, /var/lib/systemd/pstore) and diagnose each crash that appears in them, once: also when this
program is killed and started again. Dumps that are still being written are waited for. Reports (HTML, Markdown, JSON)
are written beside the crash as kbmatch-report.*, and the crash is kept in the history.

A web hook gets every record as JSON by POST, again and again until it takes it (for some hours); a token for it is
taken from the environment variable {TOKEN}. Without --webhook nothing is sent anywhere."""

EPILOG = """\
exit status:
  0  ended: by a signal, or with --once when nothing was left to do
  1  with --once: something was still being written, or not yet delivered, when --wait was over
  2  an error: a folder is not there, another watcher runs, bad rules"""


def default_state() -> Path:
    """The ledger beside the history: /var/lib/kbmatch/watch.sqlite for root."""
    return Path("/var/lib/kbmatch/watch.sqlite") if os.geteuid() == 0 else default_path().with_name("watch.sqlite")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path)
    parser.add_argument("--once", action="store_true", help="end when nothing is left to do (for timers, path units)")
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=3600, help="with --once: at most so long")
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=5, help="between two looks (default: 5)")
    parser.add_argument(
        "--settle", metavar="SECONDS", type=float, default=10, help="how long a file must not change (default: 10)"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=float, default=1800, help="for one diagnosis")
    parser.add_argument("--reports", metavar="DIR", type=Path, help="write reports there, not beside the crash")
    parser.add_argument("--state", metavar="FILE", type=Path, help=f"what was done (default: {default_state()})")
    parser.add_argument("--history", metavar="FILE", type=Path, help=f"the history (default: {default_path()})")
    parser.add_argument("--no-history", action="store_true", help="keep no history")
    parser.add_argument("--host", default=socket.gethostname(), help="whose crashes these are, where they do not say")
    parser.add_argument("--journal", action="store_true", help="tell systemd's journal, with fields KBMATCH_*")
    parser.add_argument("--webhook", metavar="URL", help="POST each record there as JSON (default: nowhere)")
    parser.add_argument("--webhook-timeout", metavar="SECONDS", type=float, default=10)
    add_knowledge_options(parser)


def run(options: argparse.Namespace) -> int:
    """Watch until a signal comes, or, with --once, until nothing is left to do."""
    missing = [str(folder) for folder in options.folders if not folder.is_dir()]
    if len(missing) == len(options.folders):
        raise InputError(f"{', '.join(missing)}: no such folder to watch")
    for name in missing:
        _say(f"kbmatch: {name}: not there; it is watched as soon as it is")
    if options.webhook is not None and not is_web_address(options.webhook):
        raise InputError("--webhook: name an address that begins with http:// or https://")
    state = options.state or default_state()
    history = None if options.no_history else options.history or default_path()
    how = WatchOptions(
        spare=state.parent / "reports",
        reports=options.reports,
        history=history,
        rules=tuple(options.rules),
        drafts=options.drafts,
        site=options.site,
        host=options.host,
        timeout=options.timeout,
        journal=SOCKET if options.journal else None,
        webhook=Webhook(options.webhook, options.webhook_timeout) if options.webhook else None,
    )
    _check_rules(options)
    with Ledger(state) as ledger:
        watcher = Watcher(Scanner(options.folders, options.settle), ledger, how, say=_say)
        return _loop(watcher, options)


def _check_rules(options: argparse.Namespace) -> None:
    """Bad rules are an error now, not at the first crash."""
    from kbmatch.cli.options import knowledge_of

    knowledge_of(options).open()


def _say(text: str) -> None:
    print(text, flush=True)


class _Ended(Exception):  # no error
    """A signal asked the watcher to end."""


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended


def _loop(watcher: Watcher, options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    try:
        while True:
            watcher.look()
            if options.once and not watcher.waiting:
                return 0
            if options.once and time.monotonic() - began > options.wait:
                print(f"kbmatch: {watcher.waiting} crashes are not done yet", file=sys.stderr)
                return 1
            time.sleep(min(options.interval, 0.2 + options.settle) if options.once else options.interval)
    except (_Ended, KeyboardInterrupt):
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
