"""OSV records (ossf.github.io/osv-schema, 1.6): affected packages with events introduced and fixed, CVE ids as
related or alias.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kbmatch.kb.authoring.advisories_statement import Statement

_CVE = re.compile(r"CVE-\d{4}-\d{4,9}")


def osv_statements(record: dict[str, Any]) -> Iterator[Statement]:
    """What one record says. Raises KeyError, TypeError or AttributeError for what is no record."""
    advisory = str(record["id"])
    texts = [
        *record.get("related", ()),
        *record.get("aliases", ()),
        *record.get("upstream", ()),
        record.get("details", ""),
    ]
    cves = dict.fromkeys(match for text in texts for match in _CVE.findall(str(text)))
    for affected in record["affected"]:
        package = str(affected["package"]["name"])
        for part in affected.get("ranges", ()):
            for event in part["events"]:
                if "fixed" in event:
                    version = str(event["fixed"]).rpartition(":")[2]
                    for cve in cves:
                        yield Statement(cve, advisory, package, version)
