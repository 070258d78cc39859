"""The watcher: finds crashes, has each diagnosed once, delivers what was found. Killed anywhere, it goes on there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kbmatch.cli.style import plain_text
from kbmatch.cli.watch.journal import send_to_journal
from kbmatch.cli.watch.ledger import MAX_ATTEMPTS, MAX_DELIVERIES, MAX_FAILURES, Entry, Ledger
from kbmatch.cli.watch.scan import REPORT, Scanner, Unit
from kbmatch.cli.watch.webhook import Webhook
from kbmatch.cli.watch.worker import SCHEMA
from kbmatch.engine.values import dataclass, field

_FIRST_WAIT, _LONGEST_WAIT = 5.0, 3600.0


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How crashes are diagnosed and where the records go.

    `reports` is a folder for reports (None: beside the crash), `spare` one for those that cannot be written there;
    `timeout` is in seconds for one diagnosis. `journal` is the journal's socket, None: not sent there.
    """

    spare: Path
    reports: Path | None = None
    history: Path | None = None
    rules: tuple[str, ...] = ()
    drafts: bool = False
    site: str | None = None
    host: str | None = None
    timeout: float = 1800
    journal: str | None = None
    webhook: Webhook | None = None
    first_wait: float = _FIRST_WAIT


def _nothing(step: str) -> None:
    """No one looks on."""


@dataclass(slots=True)
class Watcher:
    """`look` does one round. `at_step` is told of each step before it is made: tests kill the watcher there."""

    scanner: Scanner
    ledger: Ledger
    options: WatchOptions
    at_step: Callable[[str], None] = _nothing
    say: Callable[[str], None] = print
    waiting: int = field(default=0, init=False)

    def look(self) -> int:
        """Diagnose what has settled and deliver what is due; returns how many crashes were diagnosed.

        Afterwards `waiting` counts what is still being written or still to be delivered.
        """
        self.waiting = done = 0
        for unit in self.scanner.units():
            crash_id = unit.id
            if self.ledger.knows(crash_id):
                continue
            if not self.scanner.is_settled(unit):
                self.waiting += 1
                continue
            self.at_step("found")
            entry = self.ledger.find(crash_id, unit.name, unit.best.path)
            done += self._diagnose(unit, entry)
            if not self.ledger.knows(crash_id):
                self.waiting += 1
        for entry in self.ledger.unfinished():
            self._deliver(entry)
        return done

    def _diagnose(self, unit: Unit, entry: Entry) -> int:
        if entry.failures >= MAX_FAILURES or entry.attempts >= MAX_ATTEMPTS:
            why = f"{entry.attempts} attempts ended without a diagnosis; it is not tried again"
            self.ledger.settle(entry.id, "failed", json.dumps(self._failed(entry, why)))
            return 0
        self.at_step("attempt")
        self.ledger.attempt(entry.id)
        self.at_step("diagnose")
        record, why, final = self._work(unit, entry)
        self.at_step("diagnosed")
        if record is not None:
            self.ledger.settle(entry.id, "diagnosed", json.dumps(record))
            self.at_step("settled")
            return 1
        self.ledger.failure(entry.id)
        self.say(plain_text(f"kbmatch: {unit.best.path}: {why}"))
        if final:
            self.ledger.settle(entry.id, "failed", json.dumps(self._failed(entry, why)))
        return 0

    def _work(self, unit: Unit, entry: Entry) -> tuple[dict[str, Any] | None, str, bool]:
        """(the record, else why there is none, and whether trying again is of no use)."""
        options = self.options
        order = {
            "id": entry.id, "input": unit.best.path, "stems": [str(stem) for stem in self._stems(unit, entry)],
            "history": str(options.history) if options.history else None, "rules": list(options.rules),
            "drafts": options.drafts, "site": options.site, "host": options.host,
        }  # fmt: skip
        command = [sys.executable, "-m", "kbmatch.cli.watch.worker"]
        try:
            run = subprocess.run(  # noqa: S603  # our own interpreter and module
                command, input=json.dumps(order).encode(), capture_output=True, timeout=options.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"the diagnosis took more than {options.timeout:.0f} seconds", False
        except OSError as error:
            return None, f"the diagnosis could not be started: {error}", False
        told = run.stderr.decode("utf-8", "replace").strip().splitlines()
        if run.returncode == 0:
            for line in told:
                self.say(plain_text(line))
            try:
                record = json.loads(run.stdout)
            except ValueError:
                return None, "the diagnosis gave no record", False
            return record, "", True
        why = told[-1].removeprefix("kbmatch: ") if told else f"the diagnosis ended with status {run.returncode}"
        return None, why, run.returncode == 2

    def _stems(self, unit: Unit, entry: Entry) -> list[Path]:
        """Where the reports may go: beside the crash (or in the folder named), else into the spare folder."""
        place = Path(unit.name)
        is_folder = unit.name != unit.best.path
        own = place / REPORT if is_folder else place.with_name(f"{place.name}.{REPORT}")
        short = f"{place.name}-{entry.id[:8]}.{REPORT}"
        first = self.options.reports / short if self.options.reports is not None else own
        return [first, self.options.spare / short]

    def _failed(self, entry: Entry, why: str) -> dict[str, Any]:
        return {
            "schema": SCHEMA, "id": entry.id, "input": entry.input, "host": self.options.host, "outcome": "error",
            "summary": f"NOT READ: {why}", "error": why, "reports": [],
        }  # fmt: skip

    def _deliver(self, entry: Entry) -> None:
        record: Mapping[str, Any] = json.loads(entry.result or "{}")
        if not entry.journal:
            self.at_step("announce")
            self._announce(record)
            self.at_step("announced")
            self.ledger.delivered(entry.id, journal=True)
        if entry.webhook:
            return
        if self.options.webhook is None:
            self.ledger.delivered(entry.id, webhook=True)
            return
        if time.time() < entry.not_before:
            self.waiting += 1
            return
        self.at_step("post")
        accepted, again, what = self.options.webhook.post(record)
        self.at_step("posted")
        if accepted:
            self.ledger.delivered(entry.id, webhook=True)
        elif again and entry.deliveries + 1 < MAX_DELIVERIES:
            wait = min(self.options.first_wait * 2**entry.deliveries, _LONGEST_WAIT)
            self.ledger.postpone(entry.id, time.time() + wait)
            self.waiting += 1
        else:
            self.say(f"kbmatch: {self.options.webhook.where()} did not take the record {entry.id}: {what}; given up")
            self.ledger.delivered(entry.id, webhook=True)

    def _announce(self, record: Mapping[str, Any]) -> None:
        """To the journal; without one, or where it does not listen, a line on standard output."""
        if self.options.journal is not None:
            try:
                send_to_journal(record, self.options.journal)
                return
            except OSError as error:
                self.say(f"kbmatch: the journal at {self.options.journal} does not take records: {error.strerror}")
        seen = f", seen {record['times_seen']} times" if (record.get("times_seen") or 0) > 1 else ""
        self.say(plain_text(f"{record.get('input')}: {record.get('summary')}{seen}"))
