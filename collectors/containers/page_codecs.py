"""Pages of kdump-compressed files, decompressed by the flag in their descriptor.

Flags: makedumpfile's diskdump_mod.h (DUMP_DH_COMPRESSED_*). Output is bounded by the page size whatever the
data say.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from kbmatch.engine.errors import KbmatchError

ZLIB, LZO, SNAPPY, ZSTD = 0x1, 0x2, 0x4, 0x20
NAMES = {ZLIB: "zlib", LZO: "lzo", SNAPPY: "snappy", ZSTD: "zstd"}
_COMPRESSED = ZLIB | LZO | SNAPPY | ZSTD


class DamagedPageError(KbmatchError):
    """The stored bytes of one page do not decompress to a page."""


def decompress_page(data: bytes, flags: int, page_size: int) -> bytes:
    """The page, exactly `page_size` bytes.

    Raises DamagedPageError where the data are no such page, UnsupportedFormat where a library is missing.
    """
    kind = flags & _COMPRESSED
    if kind == 0:
        page = data
    else:
        codec = _CODECS.get(kind)
        if codec is None:
            raise DamagedPageError(f"compression flags 0x{flags:x} are unknown")
        page = codec(data, page_size)
    if len(page) != page_size:
        raise DamagedPageError(f"{len(page)} of {page_size} bytes")
    return page


def _zlib(data: bytes, page_size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, page_size + 1)
    except zlib.error as error:
        raise DamagedPageError(f"zlib: {error}") from error


def _lzo(data: bytes, page_size: int) -> bytes:
    from kbmatch.collectors.containers.lzo import LzoError, decompress

    try:
        return decompress(data, page_size)
    except LzoError as error:
        raise DamagedPageError(f"lzo: {error}") from error


def _snappy(data: bytes, page_size: int) -> bytes:
    from kbmatch.collectors.containers.snappy import SnappyError, decompress

    try:
        return decompress(data, page_size)
    except SnappyError as error:
        raise DamagedPageError(f"snappy: {error}") from error


def _zstd(data: bytes, page_size: int) -> bytes:
    from kbmatch.collectors.containers.zstd import ZstdError, decompress

    try:
        return decompress(data, page_size)
    except ZstdError as error:
        raise DamagedPageError(f"zstd: {error}") from error


_CODECS: dict[int, Callable[[bytes, int], bytes]] = {ZLIB: _zlib, LZO: _lzo, SNAPPY: _snappy, ZSTD: _zstd}
