"""Drafts a rule for a panic that shows no function: it is looked up by the first words of what the kernel said."""

from __future__ import annotations

import json
import re

from kbmatch.engine.facts import FACTS, Scene
from kbmatch.engine.incident import Incident
from kbmatch.engine.index_key import leaf_keys

_NUMBERED = re.compile(r"\S*[\d/()\[\]\"'=]\S*")
MAX_WORDS = 8


def panic_leaf(incident: Incident, index: int) -> tuple[str, str] | None:
    """(operator, text) of a `panic` leaf that fits the event: the words up to the first that holds a number or a name.

    None if the event has no panic, or one that begins with a number.
    """
    reasons = FACTS["panic"].read(Scene(incident, incident.events[index]))
    reason = str(reasons[0]) if isinstance(reasons, tuple) and reasons else ""
    named = _NUMBERED.search(reason)
    words = reason[: named.start() if named else None].split(" ")
    cut = named is not None or len(words) > MAX_WORDS
    text = " ".join(words[:MAX_WORDS]).strip() + (" " if cut else "")
    operator = "prefix" if cut else "is"
    return (operator, text) if text.strip() and leaf_keys("panic", operator, (text,)) else None


def leaf_line(operator: str, text: str) -> str:
    """The leaf as YAML."""
    value = json.dumps(text) if operator == "is" else f"{{prefix: {json.dumps(text)}}}"
    return f"  panic: {value}  # guess: what comes behind these words differs from machine to machine"


def rule_name(text: str) -> str:
    """A rule's id of the words."""
    return re.sub(r"[^a-z0-9]+", "-", f"panic {text}".lower()).strip("-")[:80].strip("-")
