"""The bytes of a pasted text as plain UTF-8, before anything is looked for in them.

Undone here is what happens to a text as a whole: UTF-16, the HTML of a tracker, the quoted-printable of a saved mail
(RFC 2045), the line numbers of a viewer. Each is undone only where the text as a whole shows it; line numbers of what
comes out are those of what went in.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_PEEK = 64 * 1024
_LIMIT = 4 << 20
"""Longer texts were not pasted by anybody."""
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HTML = lazy(rb"&(?:lt|gt|amp|quot|nbsp|apos|#\d{2,4}|#x[0-9a-fA-F]{2,4});|<br ?/?>|<pre[ >]")
_TAG = lazy(r"</?(?:span|code|tt|td|b|i|em|strong|font|a)(?: [^<>]{0,200})?>")
_BREAK = lazy(r"(?:<(?:br ?/?|/?(?:p|pre|div|tr|table|li|ul|ol|body|html|blockquote)(?: [^<>]{0,200})?)>)+")
_SOFT = lazy(rb"(?m)^[^\n]{66,74}[^=\n]=\r?$")
_CODED = lazy(rb"=(?:3D|20|09|C2=A0|E2=80)|(?i:Content-Transfer-Encoding: quoted-printable)")
_NUMBERED = lazy(rb"(?m)^([>| \t]{0,16})(\d{1,6})(?:[:)]| ?\||\.(?= )|[ \t]|(?=\r?$)) ?")
_NUMBERED_PEEK = 16 * 1024
_LATIN_SPACE = lazy(rb"(?<![\x80-\xff])\xa0+")
_RUN = 8
"""So many lines in a row that are numbered one after the other are no accident."""
_STRIDE = 4


def legible(data: bytes) -> bytes:
    """`data` as UTF-8 text without what a mail program, a web page or a viewer put around each character or line."""
    mark = _MARKS.get(data[:2])
    if mark:
        data = data.decode(mark, "replace").encode()
    elif data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    elif b"\x00" in data[:64]:
        data = _wide(data)
    if len(data) > _LIMIT:
        return data
    head = data[:_PEEK]
    if head.count(b"=\n") + head.count(b"=\r") > head.count(b"==\n") + head.count(b"==\r") and _is_mail_code(head):
        data = _decoded_mail(data)
        head = data[:_PEEK]
    for _ in range(2):  # what a tracker escaped may have been escaped before
        if not is_marked_up(head):
            break
        data = b"\n".join(without_markup(piece.decode("utf-8", "replace")).encode() for piece in data.split(b"\n"))
        head = data[:_PEEK]
    if b"\xa0" in data:
        data = _LATIN_SPACE.sub(lambda m: b" " * len(m[0]), data.replace(b"\xc2\xa0", b" "))
    return _without_numbers(data)


def _wide(data: bytes) -> bytes:
    """UTF-16 without a mark: of Latin text each second byte is zero."""
    sample = data[:4096]
    half = len(sample) // 2
    for start, coding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if sample[start::2].count(0) > half * 0.9 and sample[1 - start :: 2].count(0) < half * 0.1:
            return data.decode(coding, "replace").encode()
    return data


def _is_mail_code(head: bytes) -> bool:
    """Whether long lines are broken by a "=" (a ruled line, ======, is none of these), as quoted-printable has it."""
    soft = len(_SOFT.findall(head))
    return soft > 1 or (soft > 0 and _CODED.search(head) is not None)


def _decoded_mail(data: bytes) -> bytes:
    """Decoded from quoted-printable; lines that are put together again leave empty ones behind them."""
    import quopri

    out: list[bytes] = []
    empty = 0
    parts: list[bytes] = []
    for line in data.split(b"\n"):
        plain = line.rstrip(b"\r \t")
        if plain.endswith(b"=") and not plain.endswith(b"=="):
            parts.append(plain[:-1])
            empty += 1
            continue
        out.append(quopri.decodestring(b"".join([*parts, plain])).replace(b"\n", b" "))
        out += [b""] * empty
        parts, empty = [], 0
    out += [quopri.decodestring(part) for part in parts]
    return b"\n".join(out)


def is_marked_up(head: bytes) -> bool:
    """Whether a text is HTML or holds its entities."""
    return (b"&" in head or b"<br" in head or b"<pre" in head) and _HTML.search(head) is not None


def without_markup(text: str) -> str:
    """One line without tags (stack marks like <IRQ> are none), entities decoded; <br> and <p> begin another."""
    import html

    plain = _TAG.sub("", _BREAK.sub("\n", text).strip("\n")) if "<" in text else text
    return html.unescape(plain) if "&" in plain else plain


def _without_numbers(data: bytes) -> bytes:
    """The lines without the numbers that a viewer, grep -n or a web page put before them.

    Only where they count up from line to line; what else begins with a number keeps it.
    """
    if not _may_count(data[:_NUMBERED_PEEK].split(b"\n")):
        return data
    lines = data.split(b"\n")
    for start, end in _counts(lines):
        for at in range(start, end):
            found = _NUMBERED.match(lines[at])
            if found:
                lines[at] = found[1] + lines[at][found.end() :]
    return b"\n".join(lines)


def _may_count(lines: list[bytes]) -> bool:
    """Whether two lines at a distance of `_STRIDE` differ by that in their numbers: all are not looked at."""
    before = -1
    for line in lines[::_STRIDE]:
        found = _NUMBERED.match(line)
        number = int(found[2]) if found else -1
        if found and number == before + _STRIDE:
            return True
        before = number if found else -_STRIDE - 1
    return False


def _counts(lines: list[bytes]) -> list[tuple[int, int]]:
    """Half-open ranges of lines that are numbered one after the other."""
    runs: list[tuple[int, int]] = []
    start, before = 0, -2
    for at, line in enumerate(lines):
        found = _NUMBERED.match(line)
        number = int(found[2]) if found else -2
        if number != before + 1 or number < 0:
            if at - start >= _RUN and before >= 0:
                runs.append((start, at))
            start = at
        before = number
    if len(lines) - start >= _RUN and before >= 0:
        runs.append((start, len(lines)))
    return runs
