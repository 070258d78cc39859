"""Fetches debuginfo by build id from debuginfod servers, only where the user asked; kept, resumed after a break.

Source: elfutils' debuginfod(8): GET /buildid/<hex>/debuginfo answers with the ELF file or 404.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from kbmatch.collectors.types.type_cache import cache_folder
from kbmatch.engine.errors import UnreadableInput

Progress = Callable[[int, int], None]
MAX_BYTES = 4 << 30
_BLOCK = 1 << 16  # what a break costs
_TIMEOUT = (10, 60)
_BUILD_ID = re.compile(r"[0-9a-f]{8,128}")


class Debuginfod:
    """Calls with a build id give the path of its debuginfo file, None where no server has it."""

    def __init__(self, urls: Sequence[str], progress: Progress | None = None) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._progress = progress

    def __call__(self, build_id: str) -> Path | None:
        """The file, fetched or kept from before. Raises UnreadableInput with every server's answer if all failed."""
        if not _BUILD_ID.fullmatch(build_id):
            return None
        target = cache_folder().parent / "debuginfod" / build_id / "vmlinux.debug"
        if target.is_file():
            return target
        failed: list[str] = []
        for url in self._urls:
            try:
                if self._fetch(f"{url}/buildid/{build_id}/debuginfo", target):
                    return target
            except OSError as error:  # requests' errors are OSErrors
                failed.append(f"{url}: {error}")
        if failed:
            raise UnreadableInput(f"debuginfod: build id {build_id} could not be fetched: {'; '.join(failed)}")
        return None

    def _fetch(self, url: str, target: Path) -> bool:
        import requests

        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = target.with_suffix(".part")
        have = part.stat().st_size if part.is_file() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 404:
                return False
            if answer.status_code == 416:  # what we have is no beginning of it
                part.unlink()
                return self._fetch(url, target)
            answer.raise_for_status()
            resumed = answer.status_code == 206
            done = have if resumed else 0
            length = answer.headers.get("Content-Length", "")
            total = done + int(length) if length.isdigit() else 0
            if total > MAX_BYTES:
                raise OSError(f"{total} bytes are more than a debuginfo file may have")
            with part.open("ab" if resumed else "wb") as file:
                for block in answer.iter_content(_BLOCK):
                    file.write(block)
                    done += len(block)
                    if done > MAX_BYTES:
                        raise OSError("it does not end")
                    if self._progress is not None:
                        self._progress(done, total)
            if total and done != total and "Content-Encoding" not in answer.headers:
                raise OSError(f"the connection broke after {done} of {total} bytes; the next run goes on from there")
        os.replace(part, target)
        return True
