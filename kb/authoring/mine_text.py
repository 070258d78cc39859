"""Crash excerpts of commit messages: what is left of a log after quoting, trimming, wrapping and hand editing.

The log reader gets the text first. What it does not read - bare function names, traces without a head, "..."
in place of lines - is read here by looser rules that would be wrong in a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbmatch.collectors.logs.console import read_log
from kbmatch.collectors.logs.heads import match_head
from kbmatch.collectors.logs.lines import strip_prefixes
from kbmatch.collectors.logs.registers import program_counter
from kbmatch.collectors.logs.trace import parse_frame, starts_side_report, starts_trace
from kbmatch.engine.culprit import HelperFrames, culprit_of
from kbmatch.engine.kinds import NULL_DEREF_LIMIT
from kbmatch.engine.signature import Frame, Signature
from kbmatch.engine.symbols import parse_location, strip_decorations
from kbmatch.engine.values import dataclass, replace

_QUOTES = re.compile(r"^\s*(?:[>|]\s*)+|^\s*(?:\[\d{1,2}\]|\(\w\))\s+(?=\S)")
_BARE = re.compile(
    r"^(?:\[<[0-9a-f]+>\]\s*|<[0-9a-f]+>\s*|\[[0-9a-f]{8,16}\]\s*|#\d+\s+)?(?P<guess>\?\s+)?(?:\[)?"
    r"(?P<symbol>[A-Za-z_][\w.$]{2,80})(?:\(\))?"
    r"(?:\s*\+\s*(?:0x)?[0-9a-f]+(?:/0x[0-9a-f]+)?)?"
    r"(?:\s+(?P<file>[\w./+-]+\.[chS]:-?\d+))?(?P<inline>\s*\(?\[?inlined?\]?\)?)?\]?(?:\s+\[(?P<module>[\w-]+)\])?\s*$"
)
_SESSION = re.compile(
    r"#\d+\s+\[[0-9a-f]{8,16}\]\s+(?P<symbol>[A-Za-z_][\w.]*) at [0-9a-f]{8,16}(?:\s+\[(?P<module>[\w-]+)\])?"
)
_EXCEPTION = re.compile(r"\[exception RIP: (?P<symbol>[A-Za-z_][\w.]*)\+\d+\]")
_SHORT = re.compile(r"(?:KASAN|KMSAN|KCSAN): [\w-]+ (?:in|int) ")
_WRAPPED = re.compile(
    r"((?:WARNING: .*|BUG: K\w+: .*|kernel BUG) at \S+:\d+|BUG: K\w+SAN: [\w -]+ in)\n\s*([A-Za-z_][\w.]*\+0x)"
)
_LEAK = re.compile(r"unreferenced object (?:\(percpu\) )?0x")
_BLOCKED = re.compile(r"task:\S+\s+state:[DR]\b")
_PLACE = re.compile(
    r"(?:(?:[RE]?IP|[Pp][Cc]|NIP|epc)\b(?: is at)?\s*:?\s*(?:[0-9a-f]{4}:)?(?:\[?[0-9a-f]{16}\]?\s+)?)"
    r"(?P<printed>[A-Za-z_][\w.]*(?:\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?)?(?:\s\[[\w-]+\])?)"
)
_GAP = re.compile(r"^(?:\.{3,}|\[\.\.\.\]|\[\s*snip.*|<snip>|<\.\.\.>|\[skip\])$")
_PROSE_KIND = (
    (r"KASAN|use-after-free|slab-out-of-bounds|out-of-bounds (?:read|write|access)", "kasan"),
    (r"NULL[ -](?:ptr|pointer)|null-ptr-deref", "null-deref"),
    (r"[Gg]eneral [Pp]rotection|\bGPF\b", "gpf"),
    (r"soft[ -]?lockup", "soft-lockup"),
    (r"hung task|hangs?\b|deadlock|blocked for more", "hung-task"),
    (r"paging request|page fault", "page-fault"),
    (r"(?:memory )?leak", "memory-leak"),
    (r"list_(?:add|del) corruption", "list-corruption"),
    (r"refcount", "refcount"),
    (r"[Ww]arning|WARN_ON|splat", "warning"),
)
_PROSE = tuple((re.compile(pattern), kind) for pattern, kind in _PROSE_KIND)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A crash that a text quotes. `guessed`: its kind comes from prose, or its functions from bare names."""

    event: Signature
    guessed: bool


def excerpts(text: str, helpers: HelperFrames) -> tuple[Excerpt, ...]:
    """The crashes that the text quotes, with culprits, the most telling first; empty if there are none."""
    unquoted = _WRAPPED.sub(r"\1 \2", "\n".join(_unquoted(text)))
    found = [Excerpt(event, False) for event in read_log(unquoted.encode()).events]
    if not any(_worth(e.event, helpers) >= 3 for e in found):
        found += _loose(unquoted)
    found = [_with_told_kind(e, text) for e in found]
    whole = [replace(e, event=replace(e.event, culprit=culprit_of(e.event, helpers))) for e in found]
    whole = [e for e in whole if e.event.culprit is not None or e.event.symbol or e.event.source_line]
    order = {id(e): (not e.guessed, e.event.kind != "other", -i) for i, e in enumerate(whole)}
    return tuple(sorted(whole, key=lambda e: (min(3, _worth(e.event, helpers)), order[id(e)]), reverse=True))


def _with_told_kind(excerpt: Excerpt, text: str) -> Excerpt:
    """The excerpt; where its first line is left out, with the kind that the prose names."""
    event = excerpt.event
    if event.kind != "other" or match_head(event.message) is not None:
        return excerpt
    kind = _prose_kind(text)
    return excerpt if kind == "other" else Excerpt(replace(event, kind=kind), True)


def _worth(event: Signature, helpers: HelperFrames) -> int:
    frames = event.trace or (event.tasks[0].trace if event.tasks else ())
    names = {f.symbol for f in frames if f.reliable} | {event.symbol or ""}
    return sum(not helpers.is_helper(name, event.kind) for name in names if name)


def _unquoted(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line
        for _ in range(4):
            match = _QUOTES.match(stripped)
            if match is None or match.end() == 0:
                break
            stripped = stripped[match.end() :]
        yield stripped.rstrip()


def _loose(text: str) -> list[Excerpt]:
    """Excerpts by looser rules: bare names, no head, gaps."""
    lines = text.split("\n")
    found: list[Excerpt] = []
    number = 0
    while number < len(lines):
        printed, *_ = strip_prefixes(lines[number].strip())
        begins = _begins(printed)
        run = _frames(lines, number) if begins is None else None
        if begins is not None:
            end, event, bare = _event(lines, number, begins)
            if event.trace or event.symbol:
                found.append(Excerpt(event, bare or begins == "other"))
            number = max(end, number + 1)
        elif run is not None and len(run[1]) >= 4:
            found.append(Excerpt(Signature(_prose_kind(text), "trace without a head", trace=tuple(run[1])), True))
            number = run[0]
        else:
            number += 1
    return found


def _begins(printed: str) -> str | None:
    """The kind that a line begins, None if it begins none."""
    match = match_head(printed)
    if match is not None and match.head.role not in ("more", "panic"):
        return "gpf" if match.head.kind == "other" and "protection" in printed else match.head.kind
    if _LEAK.match(printed):
        return "memory-leak"
    if _BLOCKED.match(printed):
        return "hung-task"
    if _SHORT.match(printed):
        return printed[:5].lower()
    if _EXCEPTION.match(printed):
        return "page-fault"
    return None


def _event(lines: Sequence[str], start: int, kind: str) -> tuple[int, Signature, bool]:
    """(line after it, event, whether it holds bare names) of the crash whose head stands in line `start`."""
    head, *_ = strip_prefixes(lines[start].strip())
    groups: dict[str, str] = {}
    frames: list[Frame] = []
    bare = False
    symbol = module = printed = None
    end = start
    for at in range(start, min(len(lines), start + 160)):
        end = at
        text, *_ = strip_prefixes(lines[at].strip())
        match = match_head(text)
        if match is not None:
            if at - start > 12 and frames:
                break
            for key, value in match.groups.items():
                groups.setdefault(key, value)
            if match.head.kind == "null-deref" or (
                match.head.rank >= 7 and kind in ("bug", "other", "warning", "invalid-opcode")
            ):
                kind = match.head.kind
            place = match.groups.get("printed")
            if place and symbol is None:
                printed = place
                symbol, _, _, module = parse_location(place.split("(")[0].strip())
            continue
        if frames and at > start and (_BLOCKED.match(text) or _LEAK.match(text)):
            end = at - 1
            break
        exception = _EXCEPTION.match(text)
        if exception is not None and symbol is None:
            printed = symbol = strip_decorations(exception["symbol"])
            continue
        if starts_side_report(text) and frames:
            break
        where = program_counter(text)
        loose = _PLACE.match(text)
        if where is not None or loose is not None:
            place = where.printed if where is not None and where.printed else loose["printed"] if loose else None
            if place and symbol is None and not (where is not None and where.user):
                printed = place
                symbol, _, _, module = parse_location(place if "/0x" in place else place.split("+")[0])
            continue
        frame, is_bare = _frame(text)
        if frame is not None:
            frames.append(frame)
            bare = bare or is_bare
        elif len(frames) >= 3 and _is_prose(text):
            break
    address = groups.get("address")
    number = int(address, 16) if address and re.fullmatch(r"(?:0x)?[0-9a-fA-F]{1,16}", address) else None
    if kind == "page-fault" and number is not None and number < NULL_DEREF_LIMIT:
        kind = "null-deref"
    event = Signature(
        kind=kind, message=head, symbol=symbol, printed=printed, module=module, address=number,
        source_line=groups.get("file"), trace=tuple(frames), text=tuple(lines[start : end + 1]),
    )  # fmt: skip
    return end, event, bare


def _frame(text: str) -> tuple[Frame | None, bool]:
    """(frame, whether it is a bare name) of one line."""
    parsed = parse_frame(text)
    if parsed is not None and parsed.frames:
        return parsed.frames[-1], False
    session = _SESSION.match(text.strip())
    if session is not None:
        return Frame(strip_decorations(session["symbol"]), session["symbol"], module=session["module"] or ""), False
    match = _BARE.match(text.strip())
    if match is None or (not _LIKE_A_FUNCTION.search(match["symbol"]) and not match["file"]):
        return None, False
    symbol = strip_decorations(match["symbol"])
    shown = f"{symbol} {match['file'] or ''} [inline]" if match["inline"] else symbol
    return Frame(symbol, shown, module=match["module"], reliable=not match["guess"]), True


_LIKE_A_FUNCTION = re.compile(r"_|\d$|^(?:schedule|kthread|panic|dput|iput|fput)$")


def _frames(lines: Sequence[str], start: int) -> tuple[int, list[Frame]] | None:
    """(line after it, frames) of a run of frame lines that begins in line `start`, or behind a "Call trace:"."""
    at = start
    text, *_ = strip_prefixes(lines[at].strip())
    if starts_trace(text):
        at += 1
    found: list[Frame] = []
    while at < len(lines):
        text, *_ = strip_prefixes(lines[at].strip())
        frame, bare = _frame(text)
        if frame is None and not (found and (_GAP.match(text) or re.fullmatch(r"</?\w+>", text))):
            break
        if frame is not None and not (bare and len(lines[at]) - len(lines[at].lstrip()) > 12 and len(found) < 2):
            found.append(frame)
        at += 1
    return (at, found) if found else None


def _is_prose(text: str) -> bool:
    return (
        len(text.split()) >= 5
        and ":" not in text.split(maxsplit=1)[0]
        and not re.match(r"^[A-Z]{2,3}\w{0,3}:|^[\da-f ]+$", text)
    )


def _prose_kind(text: str) -> str:
    return next((kind for pattern, kind in _PROSE if pattern.search(text)), "other")
