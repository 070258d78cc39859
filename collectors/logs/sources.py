"""Which program wrote a log down, and its lines as the kernel printed them.

Sources: systemd's journal formats (systemd.journal-fields(7), "Journal Export Formats", "Journal JSON Format"),
util-linux dmesg --json, Documentation/ABI/testing/dev-kmsg, Documentation/networking/netconsole.rst (extended format:
"ncfrag"), fs/pstore/platform.c ("Panic#1 Part2") and fs/pstore/ram.c ("====TIME-C"), rsyslog's "#011" escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kbmatch.collectors.logs.legible import is_marked_up, legible, without_markup
from kbmatch.collectors.logs.lines import Line, split_line
from kbmatch.collectors.logs.unwrapping import printed_lines
from kbmatch.engine.patterns import lazy

Reader = Callable[[bytes, int], Iterator[Line]]
"""Takes a block of whole lines and the number of its first; gives the printed lines."""

_PEEK = 64 * 1024
_UNPACKED = 64 << 20
_EXPORT = lazy(rb"(?:\A|\n)(?:__CURSOR=|__REALTIME_TIMESTAMP=|__MONOTONIC_TIMESTAMP=)")
_JSON_KEY = lazy(rb'"(?:MESSAGE|msg|message|log|textPayload)"\s*:')
_KMSG = lazy(rb"(?m)^(?:[\w.+~-]{3,80},)?\d{1,4},\d{1,19},\d{1,19},[-c+](?:,[^;\n]{0,200})?;")
_PART = lazy(
    rb"(?m)^(?P<reason>Oops|Panic|Emergency|Restart|Halt|Poweroff|Unknown"
    rb"|Shutdown)#(?P<count>\d+) Part(?P<part>\d+)\r?$"
)
_RAMOOPS = lazy(rb"\A====\d+\.\d+(?:-(?P<kind>[CD]))?\n")
_HOST = lazy(
    rb"(?m)^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,32}) "
    rb"(?P<syslog>[\w.-]{1,64}) kernel(?:\[\d+\])?: "
    rb'|"_HOSTNAME"\s*:\s*"(?P<json>[\w.-]{1,64})"|^_HOSTNAME=(?P<export>[\w.-]{1,64})$'
)


def reader_of(head: bytes) -> Reader:
    """The reader for a text that begins with `head` (64 KiB are enough)."""
    head = head[:_PEEK]
    stripped = head.lstrip(b"\x1e \t\r\n")
    if stripped.startswith((b"{", b"[{", b"data: {", b"[\n")) and _JSON_KEY.search(head):
        return _json_lines
    if _EXPORT.search(head) and b"MESSAGE" in head:
        return _export_lines
    if len(_KMSG.findall(head)) >= 2:
        return _kmsg_lines
    if is_marked_up(head):
        return _html_lines
    return printed_lines


def hostname_of(block: bytes) -> str | None:
    """The host that the syslog or journal lines at the beginning of `block` name for the kernel, None without one."""
    match = _HOST.search(block, 0, _PEEK)
    if not match:
        return None
    name = (match["syslog"] or match["json"] or match["export"]).decode("utf-8", "replace")
    return name if name.lower() != "localhost" else None


def unpacked(data: bytes) -> bytes:
    """`data` as plain UTF-8 text: a compressed pstore record unpacked, else what legible() makes of it.

    What cannot be unpacked comes back as it is; output is limited to 64 MiB.
    """
    header = _RAMOOPS.match(data)
    body = data[header.end() :] if header else data
    if (header and header["kind"] == b"C") or (data[:1] == b"\x78" and data[1:2] in b"\x01\x5e\x9c\xda"):
        plain = _inflated(body)
        if plain is not None:
            return plain
    return legible(data)


def _inflated(body: bytes) -> bytes | None:
    import zlib

    for window in (15, -15):
        try:
            return zlib.decompressobj(window).decompress(body, _UNPACKED)
        except zlib.error:
            continue
    return None


def pstore_blocks(data: bytes) -> list[tuple[int, int, int]]:
    """(start, end, number of the first line) of the blocks of `data` in log order.

    One block unless the text consists of pstore parts: there Part1 is the newest, whatever their order in the file.
    """
    marks = list(_PART.finditer(data))
    if len(marks) < 2 or len(marks) > 10_000:
        return [(0, len(data), 1)]
    blocks = []
    if marks[0].start():
        blocks.append(((0, 0, 0), (0, marks[0].start(), 1)))
    order: dict[tuple[bytes, bytes], int] = {}
    line, position = 1, 0
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        line += data.count(b"\n", position, mark.end())
        position = mark.end()
        start = min(mark.end() + 1, len(data))
        rank = order.setdefault((mark["reason"], mark["count"]), len(order) + 1)
        end = following.start() if following else len(data)
        blocks.append(((rank, -int(mark["part"]), start), (start, end, line + 1)))
    return [block for _, block in sorted(blocks)]


def _json_text(value: object) -> str | None:
    """A message of the journal: a text, or the array of bytes that it writes for what is no plain text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(b, int) and 0 <= b < 256 for b in value):
        return bytes(value).decode("utf-8", "replace")
    return None


_PAIR = lazy(
    r'"(?P<key>MESSAGE|msg|message|log|textPayload|time|caller|_SOURCE_MONOTONIC_TIMESTAMP|_TRANSPORT|SYSLOG_IDENTIFIER)"'
    r'\s*:\s*(?P<value>"(?:[^"\\]|\\.)*"|-?[\d.]+|\[[\d, ]*\])'
)
_TEXT_KEYS = ("MESSAGE", "msg", "message", "log", "textPayload")


def _json_lines(raw: bytes, first: int) -> Iterator[Line]:
    """Journal JSON (one object a line, pretty, server-sent or sequence) and dmesg --json."""
    import json

    entry: dict[str, object] = {}
    number = first
    for number, piece in enumerate(raw.split(b"\n"), first):
        text = piece.decode("utf-8", "replace").strip("\x1e\r \t,").removeprefix("data: ").removeprefix("[")
        if text.startswith("{") and text.endswith("}"):
            try:
                whole = json.loads(text)
            except (ValueError, RecursionError):
                whole = None
            if isinstance(whole, dict):
                yield from _entry_lines({**whole, "#": number})
                continue
        if text[:1] in ("{", "}"):
            yield from _entry_lines(entry)
            entry = {}
        for match in _PAIR.finditer(text):
            try:
                value = json.loads(match["value"])
            except ValueError:
                value = match["value"].strip('"')
            if match["key"] in _TEXT_KEYS:
                if any(k in entry for k in _TEXT_KEYS):
                    yield from _entry_lines(entry)
                    entry = {}
                entry["#"] = number
            entry[match["key"]] = value
    yield from _entry_lines(entry)


def _entry_lines(entry: dict[str, object]) -> Iterator[Line]:
    """The lines of one journal or dmesg record."""
    text = next((t for t in (_json_text(entry.get(k)) for k in _TEXT_KEYS) if t is not None), None)
    if text is None:
        return
    number = entry.get("#")
    transport, tag = entry.get("_TRANSPORT"), entry.get("SYSLOG_IDENTIFIER")
    kernel: bool | None = None
    if transport is not None or tag is not None:
        kernel = transport == "kernel" or (transport != "kernel" and tag == "kernel")
    if "msg" in entry and "time" in entry:
        kernel = True
    yield from _record(text, number if isinstance(number, int) else 0, _seconds(entry), kernel, entry.get("caller"))


def _seconds(entry: dict[str, object]) -> float | None:
    stamp = entry.get("_SOURCE_MONOTONIC_TIMESTAMP")
    if isinstance(stamp, (str, int)):
        try:
            return int(stamp) / 1e6
        except ValueError:
            return None
    time = entry.get("time")
    return float(time) if isinstance(time, (int, float)) else None


def _record(text: str, number: int, time: float | None, kernel: bool | None, caller: object) -> Iterator[Line]:
    """The lines of one record; what a record's own prefix says goes before what its lines say."""
    for part in text.rstrip("\n").split("\n"):
        for line in split_line(part, number):
            yield Line(
                number,
                line.text,
                line.time if line.time is not None else time,
                line.caller or (caller if isinstance(caller, str) else None),
                kernel if kernel is not None else line.kernel,
            )


def _export_lines(raw: bytes, first: int) -> Iterator[Line]:
    """Journalctl -o export: FIELD=value lines, an empty line ends an entry; binary values have a length instead."""
    entry: dict[str, object] = {}
    pieces = raw.split(b"\n")
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        name, equals, value = piece.partition(b"=")
        if not piece:
            yield from _entry_lines(entry)
            entry = {}
        elif not equals and piece == b"MESSAGE" and at + 1 < len(pieces):
            entry["#"] = first + at
            rest = b"\n".join(pieces[at + 1 : at + 400])
            size = int.from_bytes(rest[:8], "little")
            if len(rest) >= 8 and size <= len(rest) - 8:
                entry["MESSAGE"] = rest[8 : 8 + size].decode("utf-8", "replace")
                at += rest[: 8 + size].count(b"\n") + 1
        elif name in (b"MESSAGE", b"_TRANSPORT", b"SYSLOG_IDENTIFIER", b"_SOURCE_MONOTONIC_TIMESTAMP"):
            if name == b"MESSAGE":
                entry["#"] = first + at
            entry[name.decode()] = value.decode("utf-8", "replace")
        at += 1
    yield from _entry_lines(entry)


_RECORD = lazy(
    r"(?:(?P<release>[\w.+~-]{3,80}),)?(?P<pri>\d{1,4}),(?P<seq>\d{1,19}),(?P<usec>\d{1,19}),[-c+](?P<extra>(?:,[^;\n]{0,200})?);(?P<text>.*)"
)
_ESCAPE = lazy(r"\\x([0-9a-f]{2})")


def _kmsg_lines(raw: bytes, first: int) -> Iterator[Line]:
    """/dev/kmsg and extended netconsole: records by their sequence numbers, fragments put together.

    The facility (priority / 8) of the kernel's own records is 0; others were written by programs.
    """
    records: list[tuple[int, int, float, bool, str | None, str]] = []
    fragments: dict[int, list[tuple[int, str, int, float, bool, str | None]]] = {}
    for number, piece in enumerate(raw.split(b"\n"), first):
        text = piece.decode("utf-8", "replace").rstrip("\r")
        match = _RECORD.search(text[:200]) and _RECORD.search(text)
        if not match:
            continue
        sequence, seconds = int(match["seq"]), int(match["usec"]) / 1e6
        kernel = int(match["pri"]) >> 3 == 0
        caller = re.search(r"caller=([TC]\d{1,7})", match["extra"])
        name = caller[1] if caller else None
        part = re.search(r"ncfrag=(\d+)/(\d+)", match["extra"])
        if part:
            piece_of = fragments.setdefault(sequence, [])
            piece_of.append((int(part[1]), match["text"], number, seconds, kernel, name))
        else:
            records.append((sequence, number, seconds, kernel, name, match["text"]))
    for sequence, parts in fragments.items():
        parts.sort()
        joined = "".join(p[1] for p in parts)
        records.append((sequence, min(p[2] for p in parts), parts[0][3], parts[0][4], parts[0][5], joined))
    seen: set[tuple[int, str]] = set()
    top = -1
    for sequence, number, seconds, kernel, name, text in _by_sequence(records):
        if (sequence, text) in seen:
            continue
        if 0 < top < sequence - 1 < top + 100_000:
            yield Line(number, f"** {sequence - top - 1} printk messages dropped **", kernel=True)
        top = sequence
        seen.add((sequence, text))
        plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text) if "\\x" in text else text
        yield from _record(plain, number, seconds, kernel, name)


def _by_sequence(
    records: list[tuple[int, int, float, bool, str | None, str]],
) -> list[tuple[int, int, float, bool, str | None, str]]:
    """Records in the order of their numbers within a boot; a number far below the ones before begins another boot."""
    boots: list[list[tuple[int, int, float, bool, str | None, str]]] = [[]]
    top = -1
    for record in sorted(records, key=lambda r: r[1]):
        if record[0] < top - 1000 and record[0] < 1000:
            boots.append([])
            top = -1
        top = max(top, record[0])
        boots[-1].append(record)
    return [record for boot in boots for record in sorted(boot, key=lambda r: r[0])]


def _html_lines(raw: bytes, first: int) -> Iterator[Line]:
    """A large log as HTML; small ones are made plain text as a whole (legible.py)."""
    for number, piece in enumerate(raw.split(b"\n"), first):
        for part in without_markup(piece.decode("utf-8", "replace")).split("\n"):
            yield from split_line(part, number)
