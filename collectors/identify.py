"""What an input is, decided by its content, never by its name."""

from __future__ import annotations

import re

from kbmatch.collectors.containers.identify import identify as identify_dump
from kbmatch.collectors.transcript.session import is_session

HEAD_BYTES = 65536

_FREEZE = re.compile(rb'\s*\{\s*"schema"\s*:\s*"kbmatch\.(?:signature|diagnosis)/\d+"')
"""A signature file: its schema is its first key (engine/contract.py)."""

_MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\xfd7zXZ\0", "xz-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\x7fELF", "an ELF file that is no core dump"),
)


def identify(head: bytes, size: int) -> str:
    """The name of the format: a dump container's, "freeze", "transcript", "console", or "binary" for none of them.

    `head` is the first HEAD_BYTES bytes. A text is "console" until it is read: whether it holds a kernel log only
    its reader can say. A transcript may show its first prompt further down; its reader looks at the whole text.
    """
    dump = identify_dump(head, size)
    if dump is not None:
        return dump
    if _FREEZE.match(head):
        return "freeze"
    if any(head.startswith(magic) for magic, _ in _MAGICS):
        return "binary"
    if not is_text(head):
        return "console" if _is_packed_text(head) else "binary"
    return "transcript" if is_session(head) else "console"


def is_text(head: bytes) -> bool:
    """Whether the bytes look like text: few NULs and control characters (serial consoles carry some)."""
    sample = head[:HEAD_BYTES]
    if not sample:
        return True
    odd = sum(sample.count(byte) for byte in (*range(8), *range(14, 27), 28, 29, 30, 31))
    return odd * 20 <= len(sample)


def _is_packed_text(head: bytes) -> bool:
    """Whether the log reader can make text of it: UTF-16, a compressed record of pstore."""
    from kbmatch.collectors.logs.sources import unpacked

    plain = unpacked(head)
    return plain is not head and bool(plain.strip()) and is_text(plain)


def describe_binary(head: bytes) -> str:
    """What a file that is neither log nor dump seems to be, in words."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), "binary data")
