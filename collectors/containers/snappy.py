"""Snappy blocks, decompressed in plain Python.

Source: google/snappy, format_description.txt. makedumpfile -p writes one raw block a page, no framing.
"""

from __future__ import annotations

from kbmatch.engine.errors import KbmatchError


class SnappyError(KbmatchError):
    """The data are no Snappy block, or one that is larger than allowed."""


def decompress(data: bytes, limit: int) -> bytes:
    """The decompressed block; at most `limit` bytes. Raises SnappyError."""
    try:
        return _decompress(data, limit)
    except IndexError:
        raise SnappyError("the compressed data end too early") from None


def _decompress(data: bytes, limit: int) -> bytes:
    size = shift = position = 0
    while True:
        byte = data[position]
        position += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 28:
            raise SnappyError("the length makes no sense")
    if size > limit:
        raise SnappyError(f"{size} bytes, more than {limit}")
    out = bytearray()
    end = len(data)
    while position < end:
        tag = data[position]
        position += 1
        kind = tag & 3
        if kind == 0:
            length = (tag >> 2) + 1
            if length > 60:
                width = length - 60
                length = int.from_bytes(data[position : position + width], "little") + 1
                position += width
            if position + length > end or len(out) + length > size:
                raise SnappyError("a literal leads past the end")
            out += data[position : position + length]
            position += length
            continue
        if kind == 1:
            length = (tag >> 2 & 7) + 4
            distance = (tag >> 5) << 8 | data[position]
            position += 1
        else:
            length = (tag >> 2) + 1
            width = 2 if kind == 2 else 4
            if position + width > end:
                raise SnappyError("the compressed data end too early")
            distance = int.from_bytes(data[position : position + width], "little")
            position += width
        if not 0 < distance <= len(out) or len(out) + length > size:
            raise SnappyError("a copy leads outside of the data")
        start = len(out) - distance
        if distance >= length:
            out += out[start : start + length]
        else:
            out += (out[start:] * (length // distance + 1))[:length]
    if len(out) != size:
        raise SnappyError(f"{len(out)} of {size} bytes")
    return bytes(out)
