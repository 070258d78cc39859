"""From lines to reports: which head begins a crash, which lines belong to it, what only repeats or ends it.

One crash has several first lines (list_del corruption, "kernel BUG at", "invalid opcode: 0000 [#1]"), and a panic
follows it. Where the log has caller ids, each caller's lines are followed apart, so that reports of several CPUs that
are printed at once do not mix.
"""

from __future__ import annotations

from kbmatch.collectors.logs.draft import MARKERLESS, Draft
from kbmatch.collectors.logs.heads import Head, Match, match_head
from kbmatch.collectors.logs.interleaved import Pair
from kbmatch.collectors.logs.lines import Line
from kbmatch.collectors.logs.trace import starts_trace
from kbmatch.collectors.logs.typed import reason_of
from kbmatch.engine.patterns import lazy

_BODY = lazy(
    r"Call [Tt]race:|R?IP: 00|RIP  ?\[|EIP: |CPU: \d+ |Pid: \d+, comm"
    r"|(?:\? )?[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?$|\[[0-9a-f]{16}\] [0-9a-f]{16} |"
    r"PC is at |pc : |NIP \[|epc : |Krnl PSW|\[<[0-9a-f]{8,16}>\] |Stack:|Backtrace: "
)
_FRAME_LINE = lazy(
    r"(?:\[<[0-9a-f]{8,16}>\] )?(?:\? )?[A-Za-z_][\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?$|</?[A-Z]+>$"
)
_CHAIN_REASON = lazy(
    r"Fatal exception|Fatal trap|panic_on_warn|panic_on_|Fatal machine check|Fatal hardware error|softlockup: "
    r"|Hard LOCKUP|"
    r"hung_task: |RCU Stall|sysrq triggered|Out of memory|out of memory|.*UBSAN|.*KASAN|.*KFENCE|kernel: |"
    r"Watchdog detected hard LOCKUP|.*: panic_on|scheduling while atomic|.*panic_on_|corrupted stack end"
    r"|.*UBSAN|Unrecovered|"
    r"Machine check|Asynchronous SError|bad mode|Oops|BUG|.*\bfatal\b|NMI: |nmi|Timeout: |.*not synchron"
    r"|.*set \.\.\.|"
    r"Aiee, killing interrupt handler|Attempted to kill|system call|Kernel stack overflow|Unhandled"
    r"|.*check_panic|safe_mode"
)
_KIND_OF_REASON = (
    (lazy(r"softlockup: "), "soft-lockup"),
    (lazy(r"hung_task: "), "hung-task"),
    (lazy(r"(?:Watchdog detected )?[Hh]ard LOCKUP"), "hard-lockup"),
    (lazy(r"RCU Stall"), "rcu-stall"),
    (lazy(r"[Oo]ut of memory|System is deadlocked on memory"), "oom"),
    (lazy(r"Fatal [Mm]achine check|Fatal hardware error|Machine check"), "mce"),
    (lazy(r"sysrq triggered crash|SysRq"), "sysrq"),
    (lazy(r"Kernel stack overflow|kernel stack overflow"), "stack-overflow"),
)
_REPEATED = frozenset(("kasan", "kmsan", "kfence", "rcu-stall", "memory-leak"))
"""Kinds whose head comes once for each inlined level of a decoded log, or once for each CPU."""
_DROPPED = lazy(r"\*\* (\d{1,9}) printk messages dropped")
_END = "---[ end trace "
_BACK = 10.0
"""Seconds: where heads go back this far without a banner, texts were pasted together; less is reordering."""
_NEAR = 15
_LINES = 3000
_OPEN = 16
_HEADS = 500
_PASSING = 20
"""So many reports of what happens in passing are read: thousands of them would leave no room for a crash."""
_PAIRED = 400
_QUIET = 250


class Grouper:
    """Collects drafts from lines that come in log order. `drafts` are in the order of their first heads.

    `boot` counts "Linux version" banners and is set by the caller. Memory is bounded by `limit` drafts of at most
    3000 lines; what comes after is counted in `overflow`. `torn`: what stands for the head of a report that lost it.
    """

    def __init__(self, limit: int = 1000, torn: Head | None = None) -> None:
        self.drafts: list[Draft] = []
        self.boot = 0
        self.limit = limit
        self.overflow = 0
        self.torn = torn
        self.excerpt = 0
        self._open: dict[str | None, Draft] = {}
        self._last: Draft | None = None
        self._before: Draft | None = None
        self._pair: Pair | None = None
        self._passing = 0

    def feed(self, line: Line) -> None:
        """Take the next line."""
        text = line.text
        if not text or line.kernel is False:
            return
        if text.startswith("** "):
            self._dropped(line)
            return
        match = match_head(text)
        draft = self._open.get(line.caller)
        if draft is None and line.caller is None:
            draft = self._last
        if match is None and draft is not None and line.caller is None and self._stray(draft, text):
            draft.mixed = True
            draft = self._before
        if self._pair is not None and line.caller is None and self._paired(match, line):
            return
        if match is not None and not self._is_echo(match, draft, line):
            self._head(match, line, draft)
            return
        if draft is None:
            if self.torn is not None and self.torn.pattern.match(text):
                self._new(Match(self.torn, {}), line)
                self.drafts[-1].torn = True
                self.drafts[-1].lines.append(line)
            elif (
                "NMI backtrace for cpu" in text
                and self._last is not None
                and self._last.kind.endswith(("lockup", "stall"))
            ):
                self._open[line.caller] = self._last
                self._last.lines.append(line)
            return
        self._body(draft, line)

    def _paired(self, match: Match | None, line: Line) -> bool:
        """While two reports are mixed: give the line to the one it belongs to; False where the mix is over."""
        pair = self._pair
        if pair is None or pair.over or line.number - pair.drafts[1].heads[0][1].number > _PAIRED:
            self._pair = None
            return False
        if match is not None and match.head.role not in ("die", "lead", "warn"):
            self._pair = None
            return False
        draft = pair.pick(line)
        if match is not None:
            self._join(draft, match, line)
        else:
            self._body(draft, line)
        return True

    def _dropped(self, line: Line) -> None:
        """kernel/printk/printk.c: "** 12 printk messages dropped **", printed where the console fell behind."""
        match = _DROPPED.match(line.text)
        draft = self._open.get(line.caller) or self._last
        if match and draft is not None and not draft.closed and not draft.ended:
            draft.lost += int(match[1])

    def break_off(self) -> None:
        """A new boot, or a gap in the text: no line that follows belongs to an open report."""
        self._open.clear()
        self._last = None
        self._before = None
        self._pair = None

    def _body(self, draft: Draft, line: Line) -> None:
        text = line.text
        if draft.closed:
            return
        if len(draft.lines) >= _LINES:
            draft.dropped += 1
            return
        draft.lines.append(line)
        if draft.inside is not None and len(draft.inside.lines) < _LINES:
            draft.inside.lines.append(line)
        # kernels before 2.6.30 end the first line with "RIP:" and print the place on the next one
        if _BODY.match(text) and not (len(draft.lines) == 1 and draft.heads[-1][1].text.endswith("RIP:")):
            draft.bodied = True
            draft.told = len(draft.lines)
        elif len(draft.lines) - draft.told > _QUIET and draft.bodied:
            draft.closed = True
        if not draft.traced and starts_trace(text):
            draft.traced = True
        if text.startswith(_END):
            draft.ended = True

    def _stray(self, draft: Draft, text: str) -> bool:
        """Whether a frame belongs to the report before: two CPUs printed at once, and this one has no trace yet."""
        before = self._before
        if before is None or draft.traced or draft.kind in MARKERLESS or not before.traced or before.ended:
            return False
        return len(draft.lines) < _LINES and len(before.lines) < _LINES and _FRAME_LINE.match(text) is not None

    def _is_echo(self, match: Match, draft: Draft | None, line: Line) -> bool:
        """Lines inside a report that look like heads but are none."""
        if draft is None or match.head.role != "report":
            return False
        kind = match.head.kind
        if kind == "other" and match.head.rank == 3 and draft.kind != "other":
            return True
        if kind == "other" and match.head.rank == 3:
            return draft.strongest[0].head.rank >= 3
        return False

    def _new(self, match: Match, line: Line) -> None:
        if len(self.drafts) >= self.limit:
            self.overflow += 1
            return
        before = self.drafts[-1].heads[0][1].time if self.drafts and self.drafts[-1].boot == self.boot else None
        if before is not None and line.time is not None and line.time < before - _BACK:
            self.excerpt += 1
        draft = Draft([(match, line)], boot=self.boot, excerpt=self.excerpt)
        self._passing += draft.in_passing
        nth = match.groups.get("nth")
        draft.nth = int(nth) if nth else None
        self.drafts.append(draft)
        around = self._open.get(line.caller) or self._last
        if match.head.role == "warn" and around is not None and around.kind == "rcu-stall" and not around.bodied:
            last = around.heads[-1][1]
            if line.number - last.number <= _NEAR and _soon(last, line, 1) and last.caller == line.caller:
                draft.inside = around
        self._before = self._last
        if len(self._open) >= _OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[line.caller] = draft
        self._last = draft

    def _join(self, draft: Draft, match: Match, line: Line) -> None:
        draft.closed = False
        draft.told = len(draft.lines)
        draft.heads.append((match, line))
        nth = match.groups.get("nth")
        if nth and draft.nth is None:
            draft.nth = int(nth)
        self._open[line.caller] = draft
        self._last = draft

    def _head(self, match: Match, line: Line, draft: Draft | None) -> None:
        role, kind = match.head.role, match.head.kind
        if role == "panic":
            self._panic(match, line, draft)
        elif role == "more":
            if draft is not None and draft.kind == kind:
                self._body(draft, line)
        elif match.head.rank == 0 and self._passing >= _PASSING:
            if draft is not None:
                self._body(draft, line)
        elif role == "hint" and draft is not None and not (draft.bodied or draft.ended or draft.panics):
            self._body(draft, line)
        elif draft is None:
            self._new(match, line)
        elif self._mixes(match, line, draft):
            self._new(match, line)
            if self.drafts[-1] is not draft:
                self._pair = Pair(draft, self.drafts[-1])
        elif self._joins(match, line, draft):
            self._join(draft, match, line)
        else:
            self._new(match, line)

    def _mixes(self, match: Match, line: Line, draft: Draft) -> bool:
        """Whether a head begins a second report amid the first lines of `draft`, on a console without caller ids."""
        if line.caller is not None or draft.bodied or draft.panics or draft.ended or draft is not self._last:
            return False
        last = draft.heads[-1][1]
        if last.caller is not None or line.number - last.number > 6 or not _soon(last, line, 1):
            return False
        same = [m.head for m, _ in draft.heads if m.head.role == match.head.role and m.head.rank >= 5]
        if match.head.role == "warn":
            return bool(same) and not _same_cpu(match, draft)
        return match.head.rank == 7 and match.head.role in ("lead", "die") and any(h.rank == 7 for h in same)

    def _joins(self, match: Match, line: Line, draft: Draft) -> bool:
        """Whether a head belongs to the open report `draft`."""
        role, kind = match.head.role, match.head.kind
        last = draft.heads[-1][1]
        near = len(draft.lines) < _NEAR * 2 and line.number - last.number <= _NEAR * 4
        roles = [m.head.role for m, _ in draft.heads]
        if len(draft.heads) >= _HEADS:
            return False
        if kind == "hung-task":
            return draft.kind == "hung-task" and not draft.panics and _soon(last, line, 300)
        if kind in ("oom", "mce") and draft.kind == kind:
            return _soon(last, line, 5)
        if draft.panics or draft.ended:
            return False
        if role == "die":
            return near and "die" not in roles and not draft.bodied and ("lead" in roles or draft.kind == "sysrq")
        if draft.bodied:
            return kind == "rcu-stall" == draft.kind and _soon(last, line, 1) and line.number - last.number < 8
        if role == "lead":
            return near and _soon(last, line, 5) and all(r in ("lead", "warn") for r in roles)
        if role == "warn":
            # decoded logs repeat the line for each inlined level
            return (near and _soon(last, line, 5) and all(r == "lead" for r in roles)) or (
                "warn" in roles and _same_cpu(match, draft)
            )
        if kind == draft.kind and kind in _REPEATED:
            return near
        return False

    def _panic(self, match: Match, line: Line, draft: Draft | None) -> None:
        reason = reason_of(match.groups)
        chain = _CHAIN_REASON.match(reason) is not None
        target = draft or self._last
        if draft is None and target is not None and None not in (line.caller, target.heads[-1][1].caller):
            target = None
        if target is not None and target.in_passing and reason.startswith("NMI"):
            target = None
        elif target is not None and target.in_passing:
            target = next((d for d in reversed(self.drafts[-20:]) if not d.in_passing and d.boot == self.boot), None)
        wanted = next((k for p, k in _KIND_OF_REASON if p.match(reason)), None)
        if target is not None and target.kind == "panic":
            target = target if _soon(target.heads[0][1], line, 2) else None
        elif target is not None and not chain:
            last = target.lines[-1] if target.lines else target.heads[-1][1]
            goes_on = (not target.bodied and not target.ended) or (target.is_oops and _soon(last, line, 2))
            target = target if goes_on else None
        elif target is not None and wanted not in (None, target.kind):
            target = next((d for d in reversed(self.drafts[-20:]) if d.kind == wanted and d.boot == self.boot), None)
        elif target is not None and reason.startswith(("Fatal exception", "Attempted", "Aiee")) and not target.is_oops:
            target = next((d for d in reversed(self.drafts[-20:]) if d.is_oops and d.boot == self.boot), None)
        if target is None:
            self._new(match, line)
            return
        target.panics.append((match, line))
        target.closed = False
        target.told = len(target.lines)
        if len(target.lines) < _LINES:
            target.lines.append(line)
        self._open[line.caller] = target
        self._last = target


def _same_cpu(match: Match, draft: Draft) -> bool:
    """Whether a WARNING names the CPU and the pid that the report's own WARNING names."""
    own = next((m.groups for m, _ in draft.heads if m.head.role == "warn"), {})
    return "pid" in own and all(match.groups.get(key) == own.get(key) for key in ("cpu", "pid"))


def _soon(before: Line, after: Line, seconds: float) -> bool:
    """Whether two lines are at most so far apart; True where the times are not known."""
    if before.time is None or after.time is None:
        return True
    return abs(after.time - before.time) <= seconds


def reason_kind(reason: str) -> str:
    """The kind of a panic that nothing precedes, by its reason."""
    return next((k for p, k in _KIND_OF_REASON if p.match(reason)), "panic")
