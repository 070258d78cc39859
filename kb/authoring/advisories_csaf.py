"""CSAF 2.0 documents (OASIS, security advisory and VEX profiles): a product tree, and for each CVE the fixed products.

Product ids of Red Hat and Oracle hold the package as NEVRA behind the product
("BaseOS-8.10.0.Z.MAIN:kernel-0:4.18.0-553.el8_10.x86_64");
where one does not, the product tree's purl (pkg:rpm/...) or name of the branch tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kbmatch.kb.authoring.advisories_statement import Statement, is_extended

_NEVRA = re.compile(
    r"(?:^|[:/ ])(?P<name>[A-Za-z][\w+.-]*?)-(?:\d+:)?"
    r"(?P<version>\d[\w.+~^]*-\d[\w.+~^]*?)(?:\.(?:x86_64|aarch64|ppc64le|s390x|i686|src|noarch))?$"
)
_PURL = re.compile(r"pkg:rpm/[\w.-]+/(?P<name>[\w+.-]+)@(?P<version>[^?]+)")


def csaf_statements(document: dict[str, Any]) -> Iterator[Statement]:
    """What one document says. Raises KeyError, TypeError or AttributeError for what is no CSAF document."""
    tracking = document["document"]["tracking"]
    names = dict(_names(document.get("product_tree", {})))
    for vulnerability in document["vulnerabilities"]:
        cve = vulnerability.get("cve")
        if not cve:
            continue
        advisories = _advisories(vulnerability)
        for product in vulnerability.get("product_status", {}).get("fixed", ()):
            text = names.get(product) or product
            match = _PURL.search(text) or _NEVRA.search(product) or _NEVRA.search(text)
            if match:
                version = match["version"].replace("%2B", "+").rpartition(":")[2]
                advisory = advisories.get(product, str(tracking["id"]))
                yield Statement(cve, advisory, match["name"], version, is_extended(product))


def _advisories(vulnerability: dict[str, Any]) -> dict[str, str]:
    """In VEX files each remediation names the advisory of its products."""
    found: dict[str, str] = {}
    for remedy in vulnerability.get("remediations", ()):
        match = re.search(r"(?:RHSA|RHBA|ELSA)-\d{4}:?-?\d+", str(remedy.get("url", "")))
        if match:
            found.update(dict.fromkeys(remedy.get("product_ids", ()), match[0]))
    return found


def _names(node: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """(product id, purl or name) of all products of a tree."""
    if depth > 30:
        return
    for branch in node.get("branches", ()):
        if "product" in branch:
            yield _named(branch["product"])
        yield from _names(branch, depth + 1)
    for relation in node.get("relationships", ()):
        if "full_product_name" in relation:
            identifier, _ = _named(relation["full_product_name"])
            yield identifier, str(relation.get("product_reference", identifier))


def _named(product: dict[str, Any]) -> tuple[str, str]:
    helper = product.get("product_identification_helper", {})
    return str(product["product_id"]), str(helper.get("purl") or product.get("name", ""))
