"""Vendors' fixed versions by CVE id: files under kb/advisories/, joined to the rules when the knowledge is compiled.

    format: 1
    source: AlmaLinux OSV (MIT)
    fixed:
      CVE-2023-1234: ["rhel8 4.18.0-513.5.1.el8_9 ALSA-2023:7077"]      # product, fixed version, advisory[, stream]

An advisory tells the fix, not the beginning: the vendor's kernel counts as affected before it only if upstream
brought the defect in at or below the version that the vendor's line was cut from; else the beginning is unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kbmatch.engine.document import Mapping as MappingNode
from kbmatch.engine.document import Node, Problems, Reader, Scalar
from kbmatch.engine.document import Sequence as SequenceNode
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.products import UPSTREAM, Products
from kbmatch.engine.values import dataclass
from kbmatch.engine.version_range import ALWAYS, UNSURE
from kbmatch.engine.versions import upstream
from kbmatch.kb.store.documents import document_from_plain
from kbmatch.kb.store.yaml_reader import read_yaml


@dataclass(frozen=True, slots=True)
class FixedVersion:
    """One vendor's first fixed version of one line, and the advisory that says so."""

    product: str
    version: str
    advisory: str
    stream: str | None = None


Advisories = Mapping[str, Sequence[FixedVersion]]
"""Fixed versions by CVE id."""


def read_advisories(
    paths: Sequence[Path], problems: Problems, digest: hashlib._Hash | None = None
) -> dict[str, list[FixedVersion]]:
    """The advisories of the files. What is wrong is noted."""
    found: dict[str, list[FixedVersion]] = {}
    for path in paths:
        try:
            node = read_yaml(path)
        except KnowledgeError as error:
            problems.diagnostics.extend(error.diagnostics)
            continue
        if digest is not None:
            digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + path.read_bytes())
        if not isinstance(node, MappingNode):
            problems.add(node, "not-advisories", "a file of advisories holds one mapping with the key 'format'")
            continue
        reader = Reader(node, problems, "a file of advisories")
        reader.check_keys(("format", "source", "fixed"), ("format", "source", "fixed"))
        table = node.get("fixed")
        for name, lines in table.entries if isinstance(table, MappingNode) else ():
            for item in lines.items if isinstance(lines, SequenceNode) else ():
                parts = str(item.value).split() if isinstance(item, Scalar) else []
                if len(parts) not in (3, 4):
                    problems.add(
                        item, "bad-value", 'write "PRODUCT VERSION ADVISORY" or "PRODUCT VERSION ADVISORY STREAM"'
                    )
                    continue
                found.setdefault(str(name.value).upper(), []).append(FixedVersion(*parts))
    return found


def extended(node: Node, advisories: Advisories, products: Products) -> Node:
    """The rule document with the vendors' ranges of its CVE ids; products that the rule itself names are left alone."""
    aliases = node.get("aliases") if isinstance(node, MappingNode) else None
    if not advisories or not isinstance(node, MappingNode) or not isinstance(aliases, SequenceNode):
        return node
    names = [str(item.value).upper() for item in aliases.items if isinstance(item, Scalar)]
    known = [fixed for name in names for fixed in advisories.get(name, ())]
    if not known:
        return node
    affected = node.get("affected")
    own = affected.items if isinstance(affected, SequenceNode) else ()
    named = {_text(item, "product") for item in own}
    begins = _introduced(own)
    added: dict[tuple[str, str], dict[str, Any]] = {}
    for fixed in known:
        product = products.get(fixed.product)
        if product is None or fixed.product in named:
            continue
        start = ALWAYS if _at_or_below(begins, product.base) else UNSURE
        line = {"introduced": start, "fixed": fixed.version, **({"stream": fixed.stream} if fixed.stream else {})}
        empty: dict[str, Any] = {"product": fixed.product, "ranges": [], "source": fixed.advisory}
        added.setdefault((fixed.product, fixed.advisory), empty)["ranges"].append(line)
    items = tuple(document_from_plain(value, node.mark.file) for value in added.values())
    entries = tuple((name, value) for name, value in node.entries if name.value != "affected")
    whole = SequenceNode((*own, *items), node.mark)
    return MappingNode((*entries, (Scalar("affected", node.mark), whole)), node.mark)


def _text(node: Node, key: str) -> str | None:
    value = node.get(key) if isinstance(node, MappingNode) else None
    return str(value.value) if isinstance(value, Scalar) else None


def _introduced(affected: Sequence[Node]) -> str | None:
    """Since which mainline release upstream has the defect, "0" for always, None if no upstream range tells."""
    found: list[str] = []
    for item in affected:
        ranges = item.get("ranges") if isinstance(item, MappingNode) and _text(item, "product") == UPSTREAM else None
        for part in ranges.items if isinstance(ranges, SequenceNode) else ():
            start = _text(part, "introduced")
            if start is not None:
                found.append(start)
    # a stable release that took the defect as a backport ("5.10.30") says nothing of mainline
    mainline = [text for text in found if text == ALWAYS or text.count(".") == 1 or text.startswith("2.6.")]
    return next(iter(mainline or found), None)


def _at_or_below(introduced: str | None, base: str | None) -> bool:
    if introduced == ALWAYS:
        return True
    start, cut = upstream.parse(introduced or ""), upstream.parse(base or "")
    return start is not None and cut is not None and not cut < start
