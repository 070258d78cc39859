"""What an advisory says, whatever the format of the feed."""

from __future__ import annotations

import re

from kbmatch.engine.values import dataclass

_EXTENDED = re.compile(r"\b(?:EUS|AUS|TUS|E4S|ELS)\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of a feed: the advisory says that `version` (epoch-less, of an rpm) mends `cve` in `package`.

    `extended`: for the extended support of one minor release, not for the main line.
    """

    cve: str
    advisory: str
    package: str
    version: str
    extended: bool = False


def is_extended(text: str) -> bool:
    """Whether a product's name is that of an extended support channel."""
    return _EXTENDED.search(text) is not None
