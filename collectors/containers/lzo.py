"""LZO1X, decompressed in plain Python: works with no library and no compiler.

Source: Documentation/staging/lzo.rst of the Linux kernel ("LZO stream format as understood by Linux' LZO
decompressor"). Pages of makedumpfile -l are LZO1X-1 streams.
"""

from __future__ import annotations

from kbmatch.engine.errors import KbmatchError

_TRUNCATED = "the compressed data end too early"
# State after a literal run of four or more; 0 to 3 is the number of literals behind the last match.
_AFTER_LITERALS = 4


class LzoError(KbmatchError):
    """The data are no LZO1X stream, or one that is larger than allowed."""


def decompress(data: bytes, limit: int) -> bytes:
    """The decompressed data; at most `limit` bytes. Raises LzoError."""
    try:
        return _decompress(data, limit)
    except IndexError:
        raise LzoError(_TRUNCATED) from None


def _decompress(data: bytes, limit: int) -> bytes:  # noqa: PLR0915 - one loop, one instruction set
    out = bytearray()
    position = 0
    state = 0
    first = data[0]
    if first > 17:
        position = 1 + first - 17
        out += _literals(data, 1, first - 17)
        state = min(first - 17, _AFTER_LITERALS)
        if len(out) > limit:
            raise LzoError(f"more than {limit} bytes")
    while True:
        code = data[position]
        position += 1
        if code < 16:
            if state == 0:
                length = code + 3
                if code == 0:
                    extra, position = _extended(data, position)
                    length = extra + 18
                out += _literals(data, position, length)
                position += length
                state = _AFTER_LITERALS
                if len(out) > limit:
                    raise LzoError(f"more than {limit} bytes")
                continue
            high = data[position]
            position += 1
            distance = (high << 2) + (code >> 2) + (2049 if state == _AFTER_LITERALS else 1)
            length = 3 if state == _AFTER_LITERALS else 2
            state = code & 3
        elif code >= 64:
            distance = (data[position] << 3) + (code >> 2 & 7) + 1
            position += 1
            length = 5 + (code >> 5 & 3) if code >= 128 else 3 + (code >> 5 & 1)
            state = code & 3
        else:
            short = 31 if code >= 32 else 7
            length = (code & short) + 2
            if length == 2:
                extra, position = _extended(data, position)
                length += short + extra
            low, high = data[position], data[position + 1]
            position += 2
            distance = (high << 8 | low) >> 2
            state = low & 3
            if code >= 32:
                distance += 1
            else:
                distance += (code & 8) << 11
                if distance == 0:
                    return bytes(out)
                distance += 16384
        if len(out) + length + state > limit:
            raise LzoError(f"more than {limit} bytes")
        _copy(out, distance, length)
        out += _literals(data, position, state)
        position += state


def _copy(out: bytearray, distance: int, length: int) -> None:
    """Append `length` bytes from `distance` back; they may overlap what is being written."""
    start = len(out) - distance
    if start < 0:
        raise LzoError("a match points before the beginning")
    if distance >= length:
        out += out[start : start + length]
    else:
        out += (out[start:] * (length // distance + 1))[:length]


def _literals(data: bytes, position: int, length: int) -> bytes:
    piece = data[position : position + length]
    if len(piece) != length:
        raise LzoError(_TRUNCATED)
    return piece


def _extended(data: bytes, position: int) -> tuple[int, int]:
    """(255 for each zero byte plus the first other one, position behind it)."""
    start = position
    while data[position] == 0:
        position += 1
    return 255 * (position - start) + data[position], position + 1
