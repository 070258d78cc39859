"""Progress of long work: a bar on a terminal after two seconds, silence in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 2.0
"""Seconds that work may take before a bar is shown."""


class ProgressBar:
    """A context manager and a callable: `bar(done, total)`; a total of 0 means that it is not known."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Tell how far the work is, in any unit."""
        if not self._wanted or time.monotonic() - self._started < PATIENCE:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=total or None)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total or None)
