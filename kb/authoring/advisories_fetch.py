"""A feed by path or URL: a URL is fetched into a temporary file, and only because the user named it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kbmatch.engine.errors import UnreadableInput

MAX_BYTES = 2 << 30
_TIMEOUT = (10, 60)


@contextmanager
def fetched(source: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Iterator[Path]:
    """The path of the source; what was fetched is removed afterwards. Raises UnreadableInput."""
    if not source.startswith(("http://", "https://")):
        yield Path(source)
        return
    import requests

    suffix = "".join(Path(urlsplit(source).path).suffixes[-1:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"feed{suffix}")
        try:
            with requests.get(source, stream=True, timeout=_TIMEOUT) as answer, path.open("wb") as file:
                answer.raise_for_status()
                total, done = int(answer.headers.get("content-length", 0)), 0
                for chunk in answer.iter_content(1 << 20):
                    done += len(chunk)
                    if done > MAX_BYTES:
                        raise UnreadableInput(
                            f"{source}: more than {MAX_BYTES} bytes; fetch it yourself and name the file"
                        )
                    file.write(chunk)
                    progress(done, total)
        except requests.RequestException as error:
            raise UnreadableInput(f"{source}: cannot be fetched: {error}") from error
        yield path
