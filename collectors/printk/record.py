"""A kernel log record, and the log as dmesg prints it."""

from __future__ import annotations

from collections.abc import Iterable

from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class PrintkRecord:
    """One record of the kernel's log.

    `time` is nanoseconds since boot (local clock), None in logs older than 3.5 that carry no time of their
    own. `facility` is syslog's (0 = the kernel; everything else was written by a process through /dev/kmsg),
    `level` 0..7. `caller` is the raw caller id (bit 31 set: a CPU number, else a thread id), None where the
    kernel kept none. `continues` marks a record that continues the line of the record before. `text` has no
    trailing newline, and may hold newlines and bytes that are no UTF-8.
    """

    seq: int
    time: int | None
    level: int
    facility: int
    caller: int | None
    text: bytes
    continues: bool = False


@dataclass(slots=True)
class RecordReading:
    """Records, oldest first, and what was lost on the way: counts by reason, in words for the user."""

    records: list[PrintkRecord]
    lost: dict[str, int] = field(default_factory=dict)

    def lose(self, why: str, count: int = 1) -> None:
        """Count lost records."""
        self.lost[why] = self.lost.get(why, 0) + count


def format_records(records: Iterable[PrintkRecord]) -> bytes:
    """The text as `dmesg` prints it: "[    1.234567] text", every line of a record with its time, oldest
    first.
    """
    lines: list[bytes] = []
    for record in records:
        text = record.text
        if record.continues and lines:
            first, _, text = text.partition(b"\n")
            lines[-1] += first
            if not text:
                continue
        if record.time is None:
            lines.extend(text.split(b"\n"))
            continue
        micro = record.time // 1000
        prefix = b"[%5d.%06d] " % (micro // 1000000, micro % 1000000)
        if b"\n" in text:
            lines.extend(prefix + line for line in text.split(b"\n"))
        else:
            lines.append(prefix + text)
    return b"\n".join([*lines, b""])
