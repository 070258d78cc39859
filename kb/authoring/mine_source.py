"""The kernel CVE records, one by one: from JSON lines (also zstd-compressed) or a checkout of the kernel's
vulns repository.

JSON lines: id, title, files, pairs ([introduced, commit, fixed, commit] of each branch, "0" = none), description. The
repository (git.kernel.org, pub/scm/linux/security/vulns.git) holds cve/published/<year>/CVE-*.json, a CVE
record of format 5 each, and beside it CVE-*.dyad with a line "introduced:commit:fixed:commit" for each branch.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.values import dataclass

MAX_RECORD = 4 << 20
"""Bytes of one record; the largest published one has some 100 KB."""
NONE = "0"


@dataclass(frozen=True, slots=True)
class Pair:
    """One branch: the version and commit that brought the defect in, and those that mended it; "0" where there
    is none.
    """

    introduced: str
    introduced_by: str
    fixed: str
    fixed_by: str


@dataclass(frozen=True, slots=True)
class Record:
    """One published record. `description` is the whole announcement, `files` are the fixed source files."""

    id: str
    title: str
    description: str
    files: tuple[str, ...]
    pairs: tuple[Pair, ...]


Progress = Callable[[int, int], None]
"""Told how many bytes (or files) of how many have been read."""


def read_records(source: Path, progress: Progress = lambda done, total: None) -> Iterator[Record]:
    """All records of a file or a checkout, in its order. Raises UnreadableInput, naming file and line."""
    if source.is_dir():
        yield from _checkout(source, progress)
        return
    try:
        size = source.stat().st_size
        with source.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head == b"\x28\xb5\x2f\xfd":
                from kbmatch.collectors.containers.zstd import open_stream

                with closing(open_stream(raw)) as stream:
                    yield from _lines(
                        io.BufferedReader(cast(io.RawIOBase, stream)), source, lambda: progress(raw.tell(), size)
                    )
            else:
                yield from _lines(raw, source, lambda: progress(raw.tell(), size))
    except OSError as error:
        raise UnreadableInput(f"{source}: {error.strerror or error}; name a .jsonl[.zst] file or a checkout") from error


def _lines(stream: Any, source: Path, tick: Callable[[], None]) -> Iterator[Record]:
    number = 0
    while line := stream.readline(MAX_RECORD + 1):
        number += 1
        if len(line) > MAX_RECORD:
            raise UnreadableInput(f"{source}:{number}: a line of more than {MAX_RECORD} bytes is no record")
        if not line.strip():
            continue
        try:
            yield _record(json.loads(line))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UnreadableInput(
                f"{source}:{number}: not a CVE record ({error}); expected id, title, files, pairs"
            ) from error
        if number % 50 == 0:
            tick()
    tick()


def _record(value: dict[str, Any]) -> Record:
    pairs = tuple(Pair(*(str(part) for part in pair[:4])) for pair in value["pairs"])
    return Record(
        str(value["id"]), str(value["title"]), str(value["description"]), tuple(map(str, value["files"])), pairs
    )


def _checkout(root: Path, progress: Progress) -> Iterator[Record]:
    published = root / "cve" / "published"
    paths = sorted((published if published.is_dir() else root).rglob("CVE-*.json"))
    if not paths:
        raise UnreadableInput(
            f"{root}: no cve/published/*/CVE-*.json below it; name a checkout of the kernel's vulns repository"
        )
    for number, path in enumerate(paths, 1):
        try:
            if path.stat().st_size > MAX_RECORD:
                raise UnreadableInput(f"{path}: more than {MAX_RECORD} bytes is no record")
            record = json.loads(path.read_bytes())
            cna = record["containers"]["cna"]
            description = next(d["value"] for d in cna["descriptions"] if d["lang"].startswith("en"))
            files = dict.fromkeys(f for part in cna.get("affected", ()) for f in part.get("programFiles", ()))
            yield Record(
                record["cveMetadata"]["cveId"],
                cna["title"],
                description,
                tuple(files),
                _dyad(path.with_suffix(".dyad")),
            )
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise UnreadableInput(f"{path}: not a CVE record of format 5 ({error!r})") from error
        except OSError as error:
            raise UnreadableInput(f"{path}: {error.strerror}") from error
        progress(number, len(paths))


def _dyad(path: Path) -> tuple[Pair, ...]:
    if not path.is_file():
        return ()
    lines = (line.strip() for line in path.read_text("utf-8", "replace").splitlines())
    parts = (line.split(":") for line in lines if line and not line.startswith("#"))
    return tuple(Pair(*part) for part in parts if len(part) == 4)
