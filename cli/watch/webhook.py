"""Posts a crash record as JSON to a web hook. Off unless a URL is given; nothing else of kbmatch uses the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from kbmatch.engine.values import dataclass
from kbmatch.engine.version import VERSION

TOKEN = "KBMATCH_WEBHOOK_TOKEN"  # the variable's name
"""Environment variable whose value is sent as a bearer token; never a command-line argument, which all can read."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post; `timeout` is in seconds, for connecting and for each answer."""

    url: str
    timeout: float = 10

    def where(self) -> str:
        """The URL without what may be secret in it, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"

    def post(self, record: Mapping[str, Any]) -> tuple[bool, bool, str]:
        """Post once. (accepted, whether trying again may help, what happened in words). Never raises for the network.

        The crash's id is sent as Idempotency-Key: after a watcher was killed at the wrong moment, a record may come
        twice.
        """
        import requests

        headers = {"User-Agent": f"kbmatch/{VERSION}", "Idempotency-Key": str(record.get("id"))}
        if token := os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        try:
            answer = requests.post(self.url, json=record, headers=headers, timeout=self.timeout, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            return False, True, type(error).__name__
        status = answer.status_code
        return 200 <= status < 300, status in (408, 425, 429) or status >= 500, f"status {status}"


def is_web_address(url: str) -> bool:
    """Whether the URL is http or https with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
