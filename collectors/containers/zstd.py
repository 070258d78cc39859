"""Zstandard: by Python's own module (3.14 and later) or by the `zstandard` package."""

from __future__ import annotations

import io
from importlib import import_module
from types import ModuleType
from typing import IO

from kbmatch.engine.errors import KbmatchError, UnsupportedFormat

HINT = (
    "this dump is compressed with zstd, which needs Python 3.14 or the zstandard package:"
    " pip install zstandard (or unpack it first with: zstd -d)"
)


class ZstdError(KbmatchError):
    """The data are no zstd frame, or one that is larger than allowed."""


def library() -> tuple[str, ModuleType]:
    """("stdlib" or "zstandard", the module). Raises UnsupportedFormat where there is neither."""
    for kind, name in (("stdlib", "compression.zstd"), ("zstandard", "zstandard")):
        try:
            return kind, import_module(name)
        except ImportError:
            continue
    raise UnsupportedFormat(HINT)


def decompress(data: bytes, limit: int) -> bytes:
    """The decompressed data; at most `limit` bytes. Raises ZstdError, UnsupportedFormat without a library."""
    kind, module = library()
    try:
        if kind == "stdlib":
            unpacked: bytes = module.ZstdDecompressor().decompress(data, limit + 1)
        else:
            # A frame that does not tell its size needs the object form, which stops at the limit.
            stream = module.ZstdDecompressor(max_window_size=1 << 27).stream_reader(data)
            unpacked = stream.read(limit + 1)
    except (module.ZstdError, MemoryError, EOFError) as error:
        raise ZstdError(str(error)) from error
    if len(unpacked) > limit:
        raise ZstdError(f"more than {limit} bytes")
    return unpacked


def open_stream(raw: IO[bytes] | io.RawIOBase) -> IO[bytes]:
    """The decompressed stream of a .zst file of any number of frames. Raises UnsupportedFormat without a library."""
    kind, module = library()
    stream: IO[bytes]
    if kind == "stdlib":
        stream = module.ZstdFile(raw)
    else:
        # 128 MiB of window is what the zstd command takes without --memory, too.
        decompressor = module.ZstdDecompressor(max_window_size=1 << 27)
        stream = decompressor.stream_reader(raw, read_across_frames=True)
    return stream
