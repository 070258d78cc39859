"""The pack's files, and how they are written: a folder or a .tar.gz, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import secrets
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from kbmatch.cli.escalation.by_hand import by_hand
from kbmatch.cli.escalation.private_case import PrivateCase
from kbmatch.cli.escalation.unchecked import unchecked
from kbmatch.cli.reports.html_report import html_report
from kbmatch.cli.reports.markdown_report import markdown_report
from kbmatch.cli.reports.view import report_view
from kbmatch.cli.text_report import text_report
from kbmatch.engine.contract import diagnosis_to_json, incident_to_json
from kbmatch.engine.errors import UnreadableInput
from kbmatch.kb.store.knowledge import KnowledgeBase

ARCHIVES = (".tar.gz", ".tgz")
MANIFEST = "MANIFEST.json"


def pack_files(case: PrivateCase, knowledge: KnowledgeBase, *, redacted: Mapping[str, int] | None) -> dict[str, bytes]:
    """The files by name. `redacted` counts what was replaced, None where nothing was to be."""
    diagnosis = case.diagnosis
    log = case.log.encode("utf-8", "replace") if case.log is not None else None
    view = report_view(diagnosis, knowledge, log)
    texts = {
        "report.html": html_report(view),
        "report.md": markdown_report(view),
        "report.txt": text_report(diagnosis, knowledge, colour=False, everything=True) + "\n",
        "diagnosis.json": _json(diagnosis_to_json(diagnosis, knowledge.stamp, everything=True)),
        "signature.json": _json(incident_to_json(diagnosis.incident)),
        "not-checked.md": unchecked(diagnosis, has_log=log is not None),
        "verify-by-hand.md": by_hand(diagnosis, knowledge),
    }
    files = {name: text.encode("utf-8", "replace") for name, text in texts.items()}
    if log is not None:
        files["log.txt"] = log
    stamp, keys = knowledge.stamp, view.fingerprint
    files[MANIFEST] = _json(
        {
            "schema": "kbmatch.pack/1",
            "outcome": diagnosis.outcome,
            "fingerprint": None if keys is None else {
                "culprit": keys.culprit, "frames": keys.frames, "exact": keys.exact, "words": keys.words,
            },
            "kb": {
                "version": stamp.version, "rules": stamp.rules, "digest": stamp.digest,
                "overrides": list(stamp.overrides),
            },
            "redaction": {
                "done": redacted is not None, "replaced": dict(redacted or {}), "same_verdict_from_log": case.agrees,
            },
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
            },
        }
    ).encode()  # fmt: skip
    return files


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def write_pack(files: Mapping[str, bytes], target: Path, *, force: bool) -> None:
    """Write a folder or, by its name, a .tar.gz. What is there already stays, unless forced. Readable by its owner.

    Raises UnreadableInput if it cannot be written.
    """
    if target.exists() and not force:
        raise UnreadableInput(f"{target}: there already; name another place, or --force to replace it")
    building = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.name.endswith(ARCHIVES):
            building.touch(mode=0o600)
            building.write_bytes(_archive(files, _stem(target)))
        else:
            building.mkdir(mode=0o700)
            for name, data in files.items():
                (building / name).write_bytes(data)
            if target.is_dir():
                _remove_pack(target)
        os.replace(building, target)
    except OSError as error:
        raise UnreadableInput(f"{target}: {error.strerror or error}") from error
    finally:
        if building.is_dir():
            shutil.rmtree(building, ignore_errors=True)
        else:
            building.unlink(missing_ok=True)


def _remove_pack(folder: Path) -> None:
    """Remove an older pack; a folder that is none is left alone."""
    if not (folder / MANIFEST).is_file():
        raise UnreadableInput(f"{folder}: this folder is no pack of kbmatch; it is not replaced")
    shutil.rmtree(folder)


def _stem(target: Path) -> str:
    return next(target.name.removesuffix(end) for end in ARCHIVES if target.name.endswith(end)) or "pack"


def _archive(files: Mapping[str, bytes], folder: str) -> bytes:
    """The same files give the same bytes; neither times nor names of this machine's users are in it."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
