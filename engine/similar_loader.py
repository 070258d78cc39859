"""From a document to a scored leaf, with every mistake reported at its place."""

from __future__ import annotations

from kbmatch.engine.document import Mapping, Mark, Node, Problems, Reader, Scalar, Sequence
from kbmatch.engine.face import FAMILY
from kbmatch.engine.kinds import ACCESSES
from kbmatch.engine.similarity import MAX_FRAMES, Similar

SIMILAR = "similar"
_FLAGS = ("magnet", "alone", "titled", "foreign", "symptom")
_KEYS = ("kind", "top", "blamed", "frames", "weights", "anchor", "at", "mentioned", "access", "driver", "arch", *_FLAGS)


def load_similar(node: Node, problems: Problems, mark: Mark) -> Similar | None:
    """The scored leaf, or None after noting what is wrong with it."""
    before = len(problems.diagnostics)
    if not isinstance(node, Mapping):
        problems.add(node, "bad-condition", "write similar: {kind: ..., blamed: [...], frames: [...]}")
        return None
    reader = Reader(node, problems, "similar")
    reader.check_keys(_KEYS, ("kind", "blamed"))
    kind = reader.one_of("kind", tuple(FAMILY))
    blamed, frames = reader.texts("blamed"), reader.texts("frames")
    weights = _numbers(node, problems)
    if not blamed and node.get("blamed") is not None:
        problems.add(node.get("blamed") or node, "bad-value", "'blamed' is empty: nothing would be looked up")
    if len(frames) >= MAX_FRAMES:
        problems.add(node.get("frames") or node, "bad-value", f"'frames' has at most {MAX_FRAMES - 1} functions")
    if weights and len(weights) != 1 + len(frames):
        problems.add(node.get("weights") or node, "bad-value", "'weights' has one number for blamed and one a frame")
    if len(problems.diagnostics) != before or kind is None:
        return None
    return Similar(
        kind=kind,
        blamed=blamed,
        top=reader.text("top") or blamed[0],
        frames=frames,
        weights=weights,
        anchor=reader.texts("anchor"),
        at=reader.text("at"),
        magnet=_flag(node, "magnet", problems),
        alone=_flag(node, "alone", problems),
        mentioned=reader.texts("mentioned"),
        access=None if node.get("access") is None else reader.one_of("access", ACCESSES),
        titled=_flag(node, "titled", problems),
        driver=reader.texts("driver"),
        foreign=_flag(node, "foreign", problems),
        symptom=_flag(node, "symptom", problems),
        arch=reader.texts("arch"),
        mark=mark,
    )


def _numbers(node: Mapping, problems: Problems) -> tuple[float, ...]:
    listed = node.get("weights")
    if listed is None:
        return ()
    items = listed.items if isinstance(listed, Sequence) else ()
    values = [item.value for item in items if isinstance(item, Scalar)]
    found = tuple(float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v <= 1)
    if not found or len(found) != len(items):
        problems.add(listed, "bad-value", "'weights' is a list of numbers from 0 to 1")
    return found


def _flag(node: Mapping, key: str, problems: Problems) -> bool:
    value = node.get(key)
    if value is None:
        return False
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return value.value
    problems.add(value, "bad-value", f"{key!r} must be true or false")
    return False
