"""From what the user names to an incident: formats by content, folders, pstore, compressed and bad input."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.collectors.collect import collect
from kbmatch.collectors.identify import identify
from kbmatch.engine.errors import KbmatchError, NotACrashFile, UnreadableInput, UnsupportedFormat
from kbmatch.engine.incident import Incident
from kbmatch.kb.store.knowledge import KnowledgeBase

CASE = Path(__file__).resolve().parents[2] / "examples/founding-case"
LOG = (CASE / "dmesg.log").read_bytes()


def read(path: Path) -> Incident:
    return collect([str(path)], KnowledgeBase())


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", "console"),
        (LOG, "console"),
        ((CASE / "crash-session.txt").read_bytes(), "transcript"),
        (b'{"schema": "kbmatch.signature/1"}', "freeze"),
        (b"\xff\xd8\xff\xe0JFIF", "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + bytes(46), "binary"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x04\x00" + bytes(46), "elf-vmcore"),
        (b"KDUMP   " + bytes(600), "kdump-compressed"),
        (b"makedumpfile\0" + bytes(600), "kdump-flattened"),
        (bytes(range(256)) * 8, "binary"),
        ("[    1.0] BUG: \u2026\n".encode("utf-16"), "console"),
        (b"====1700000000.123456-C\n" + zlib.compress(LOG), "console"),
    ],
)
def test_the_content_says_what_it_is(head: bytes, expected: str) -> None:
    assert identify(head, len(head)) == expected


@pytest.mark.parametrize("name", ["log.gz", "log.xz", "log.tar.gz", "ramoops-C", "utf16.txt"])
def test_a_packed_log_reads_like_the_plain_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "log.gz":
        path.write_bytes(gzip.compress(LOG))
    elif name == "log.xz":
        path.write_bytes(lzma.compress(LOG))
    elif name == "ramoops-C":
        path.write_bytes(b"====1700000000.123456-C\n" + zlib.compress(LOG))
    elif name == "utf16.txt":
        path.write_bytes(LOG.decode().encode("utf-16"))
    else:
        (tmp_path / "dmesg.log").write_bytes(LOG)
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "dmesg.log", "sos/dmesg.log")
    plain, packed = read(CASE / "dmesg.log"), read(path)
    assert packed.events == plain.events
    assert packed.kernel == plain.kernel


def test_the_records_of_pstore_in_a_folder_are_one_log(tmp_path: Path) -> None:
    lines = LOG.splitlines(keepends=True)
    parts = [lines[:12], lines[12:30], lines[30:]]
    for number, part in enumerate(reversed(parts), 1):
        body = f"Panic#1 Part{number}\n".encode() + b"".join(part)
        (tmp_path / f"dmesg-efi-17000000{number:02d}01001").write_bytes(body)
    found = read(tmp_path)
    assert [event.symbol for event in found.events] == ["xennet_poll"]
    assert found.kernel.release == "4.14.35-1902.5.2.el7uek.x86_64"
    assert found.events[0].code is not None


def test_the_log_beside_a_dump_that_tells_nothing_is_read_instead(tmp_path: Path) -> None:
    (tmp_path / "vmcore").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x04\x00\x3e\x00" + bytes(200))
    (tmp_path / "vmcore-dmesg.txt").write_bytes(LOG)
    found = read(tmp_path)
    assert found.source.path == str(tmp_path / "vmcore-dmesg.txt")
    assert any(note.text.startswith("passed over") or "newest crash" in note.text for note in found.notes)


def test_the_newest_folder_wins_not_the_first(tmp_path: Path) -> None:
    for number, release in enumerate(("5.1.0", "5.2.0", "5.3.0")):
        folder = tmp_path / f"crash-{9 - number}"
        folder.mkdir()
        path = folder / "dmesg"
        path.write_bytes(LOG.replace(b"4.14.35-1902.5.2.el7uek.x86_64", release.encode()))
        os.utime(path, (1000 + number, 1000 + number))
    assert read(tmp_path).kernel.release == "5.3.0"


def test_errors_name_the_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.vmss").write_bytes(b"\xd2\xbe\xd2\xbe" + bytes(100))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(UnsupportedFormat, match="VMware"):
        read(tmp_path / "x.vmss")
    with pytest.raises(NotACrashFile, match=r"x\.png: a PNG picture"):
        read(tmp_path / "x.png")
    with pytest.raises(UnreadableInput, match="absent"):
        read(tmp_path / "absent")
    with pytest.raises(UnreadableInput):
        collect(["a\0b"], KnowledgeBase())


MAGICS = (
    b"", b"KDUMP   ", b"\x7fELF\x02\x01\x01", b"makedumpfile\0", b"\x1f\x8b\x08", b"====1.2-C\n",
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(MAGICS))
def test_no_bytes_raise_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_bytes(magic + data)
    with contextlib.suppress(KbmatchError):
        read(path)
