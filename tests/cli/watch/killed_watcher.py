"""A watcher that kills itself, as SIGKILL does, before one of its steps: run by tests in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from kbmatch.cli.watch.ledger import Ledger
from kbmatch.cli.watch.scan import Scanner
from kbmatch.cli.watch.watcher import Watcher, WatchOptions
from kbmatch.cli.watch.webhook import Webhook


def main() -> None:
    place, url, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    def at_step(name: str) -> None:
        print(f"step {name}", flush=True)
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    options = WatchOptions(
        spare=place / "spare", history=place / "history.sqlite", host="here", webhook=Webhook(url), first_wait=0.01
    )
    with Ledger(place / "watch.sqlite") as ledger:
        watcher = Watcher(Scanner([place / "crash"], 0.0), ledger, options, at_step=at_step)
        for _ in range(20):
            watcher.look()
            if not watcher.waiting:
                break


main()
