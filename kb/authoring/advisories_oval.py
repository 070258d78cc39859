"""OVAL definitions (MITRE, 5.11) of Oracle and Red Hat: each patch definition has CVE references and criteria such as
"kernel-uek is earlier than 0:5.15.0-206.153.7.el9uek".
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from kbmatch.engine.errors import UnreadableInput
from kbmatch.kb.authoring.advisories_statement import Statement, is_extended

_EARLIER = re.compile(r"(?P<name>[\w+.-]+) is earlier than (?:\d+:)?(?P<version>[\w.+~^-]+)$")
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def oval_statements(data: bytes, name: str) -> Iterator[Statement]:
    """What the definitions of one document say. Raises UnreadableInput."""
    if _DOCTYPE.search(data[:65536]):
        raise UnreadableInput(f"{name}: has a document type or entities, which no OVAL feed needs; not read")
    try:
        for _, element in ElementTree.iterparse(io.BytesIO(data)):  # noqa: S314 - entities are refused above
            if element.tag.rpartition("}")[2] == "definition":
                yield from _definition(element)
                element.clear()
    except ElementTree.ParseError as error:
        raise UnreadableInput(f"{name}: not XML: {error}") from error


def _definition(definition: ElementTree.Element) -> Iterator[Statement]:
    cves: dict[str, None] = {}
    advisory = title = ""
    criteria: dict[tuple[str, str], None] = {}
    for element in definition.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "reference":
            identifier = element.get("ref_id", "")
            if identifier.startswith("CVE-"):
                cves[identifier] = None
            elif re.match(r"(?:ELSA|RHSA|RHBA)-", identifier):
                advisory = identifier
        elif tag == "title":
            title = element.text or ""
        elif tag == "criterion":
            match = _EARLIER.search(element.get("comment", ""))
            if match:
                criteria[match["name"], match["version"]] = None
    for package, version in criteria:
        for cve in cves:
            yield Statement(cve, advisory or "OVAL", package, version, is_extended(title))
