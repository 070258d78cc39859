"""Sends a crash record to systemd's journal with structured fields.

Format: systemd's "Native Journal Protocol" (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram of KEY=value lines; a
value with line ends follows its key after a line end, as a little-endian 64-bit length and the bytes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any

SOCKET = "/run/systemd/journal/socket"
MESSAGE_ID = "6b62366d6174634863726173680001aa"
"""Of all crash records, for `journalctl MESSAGE_ID=...`."""
_MAX_VALUE = 16 * 1024
_PRIORITY = {"known-issue": 4, "needs-escalation": 3, "not-a-kernel-bug": 4, "no-crash": 6}


def journal_fields(record: Mapping[str, Any]) -> dict[str, str]:
    """The record as journal fields; what is not known is left out."""
    keys = record.get("fingerprint") or {}
    values = {
        "KBMATCH_ID": record.get("id"),
        "KBMATCH_OUTCOME": record.get("outcome"),
        "KBMATCH_VERDICT": record.get("verdict"),
        "KBMATCH_RULE": record.get("rule"),
        "KBMATCH_TITLE": record.get("title"),
        "KBMATCH_FIXED": record.get("fixed"),
        "KBMATCH_RELEASE": record.get("release"),
        "KBMATCH_HOST": record.get("host"),
        "KBMATCH_INPUT": record.get("input"),
        "KBMATCH_REPORT": next(iter(record.get("reports") or ()), None),
        "KBMATCH_FINGERPRINT": keys.get("culprit"),
        "KBMATCH_FINGERPRINT_FRAMES": keys.get("frames"),
        "KBMATCH_TIMES_SEEN": record.get("times_seen"),
        "KBMATCH_ERROR": record.get("error"),
    }
    found = {
        "MESSAGE": f"kbmatch: {record.get('input')}: {record.get('summary')}",
        "MESSAGE_ID": MESSAGE_ID,
        "PRIORITY": str(_PRIORITY.get(str(record.get("outcome")), 3)),
        "SYSLOG_IDENTIFIER": "kbmatch",
    }
    found.update({name: str(value)[:_MAX_VALUE] for name, value in values.items() if value is not None})
    return found


def datagram(fields: Mapping[str, str]) -> bytes:
    """The fields as one datagram."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def send_to_journal(record: Mapping[str, Any], address: str = SOCKET) -> None:
    """Send the record. Raises OSError where no journal listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(10)
        sender.connect(address)
        sender.sendall(datagram(journal_fields(record)))
