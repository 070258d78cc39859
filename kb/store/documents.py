"""Documents as JSON: what the compiled knowledge base keeps in place of YAML.

Marks are not kept but for the file: a compiled document has been checked, so no error will point into it.
"""

from __future__ import annotations

import json
from typing import Any

from kbmatch.engine.document import Mapping, Mark, Node, Scalar, Sequence


def document_to_json(node: Node) -> str:
    """The document as compact JSON; keys keep their order."""
    return json.dumps(_plain(node), separators=(",", ":"), ensure_ascii=False)


def document_from_json(text: str, file: str) -> Node:
    """The document again, every mark at the start of `file`."""
    return _node(json.loads(text), Mark(file, 1, 1))


def document_from_plain(value: Any, file: str) -> Node:
    """A document of plain values (dict, list, text, number), every mark at the start of `file`."""
    return _node(value, Mark(file, 1, 1))


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return {str(name.value): _plain(value) for name, value in node.entries}


def _node(value: Any, mark: Mark) -> Node:
    if isinstance(value, dict):
        return Mapping(tuple((Scalar(name, mark), _node(item, mark)) for name, item in value.items()), mark)
    if isinstance(value, list):
        return Sequence(tuple(_node(item, mark) for item in value), mark)
    return Scalar(value, mark)
