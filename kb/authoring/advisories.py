"""kbmatch kb advisories: vendors' fixed kernel versions by CVE id, from the feeds that they publish.

Read are OSV (AlmaLinux, Rocky Linux; JSON, JSON lines, a folder or a zip of them), CSAF 2.0 (Red Hat, Oracle) and OVAL
(Oracle, Red Hat; XML, also bzip2). The version names the product: it is recognised as a release of such a
kernel would be.
"""

from __future__ import annotations

import bz2
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Kernel
from kbmatch.engine.products import Product, Products
from kbmatch.engine.values import dataclass, replace
from kbmatch.engine.versions.compare import compare, is_valid, strip_suffixes
from kbmatch.kb.authoring.advisories_statement import Statement
from kbmatch.kb.store.advisories import FixedVersion

MAX_DOCUMENT = 512 << 20
"""Bytes of one document; Red Hat's whole OVAL stream of a release has some 100 MB."""
PACKAGES = re.compile(r"kernel(?:-uek)?(?:-core)?(?:-container)?")
"""Packages whose version is that of the running kernel; -rt and -debug follow them."""
_VENDORS = {
    "ALSA": "almalinux",
    "ALBA": "almalinux",
    "RLSA": "rockylinux",
    "RHSA": "redhat",
    "RHBA": "redhat",
    "ELSA": "oracle",
}


@dataclass(slots=True)
class Imported:
    """What an import found: fixed versions by CVE id and vendor, and why statements were left out."""

    fixed: dict[str, dict[str, list[FixedVersion]]]
    statements: int
    left_out: Counter[str]


def statements_of(source: Path) -> Iterator[Statement]:
    """The statements of a file or folder. Raises UnreadableInput, naming the file."""
    if source.is_dir():
        paths = sorted(p for p in source.rglob("*") if p.suffix in (".json", ".jsonl", ".xml", ".bz2", ".zst", ".zip"))
        if not paths:
            raise UnreadableInput(f"{source}: no .json, .jsonl, .zst, .zip, .xml or .bz2 file below it")
        for path in paths:
            yield from statements_of(path)
        return
    if source.suffix == ".zip":
        yield from _zipped(source)
        return
    yield from _document(_bytes(source), str(source))


def _zipped(source: Path) -> Iterator[Statement]:
    try:
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith((".json", ".xml")) and entry.file_size <= MAX_DOCUMENT:
                    yield from _document(archive.read(entry), f"{source}:{entry.filename}")
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise UnreadableInput(f"{source}: not a zip archive that can be read: {error}") from error


def _bytes(source: Path) -> bytes:
    try:
        if source.stat().st_size > MAX_DOCUMENT:
            raise UnreadableInput(f"{source}: more than {MAX_DOCUMENT} bytes; give the feed in parts")
        data = source.read_bytes()
    except OSError as error:
        raise UnreadableInput(f"{source}: {error.strerror or error}; name a feed, a folder or a URL") from error
    if data[:4] == b"\x28\xb5\x2f\xfd":
        from kbmatch.collectors.containers.zstd import decompress

        return decompress(data, MAX_DOCUMENT)
    if data[:3] == b"BZh":
        try:
            unpacked = bz2.BZ2Decompressor().decompress(data, MAX_DOCUMENT + 1)
        except (OSError, ValueError) as error:
            raise UnreadableInput(f"{source}: damaged bzip2 data: {error}") from error
        if len(unpacked) > MAX_DOCUMENT:
            raise UnreadableInput(f"{source}: unpacks to more than {MAX_DOCUMENT} bytes")
        return unpacked
    return data


def _document(data: bytes, name: str) -> Iterator[Statement]:
    start = data[:4096].lstrip()
    if start.startswith(b"<"):
        from kbmatch.kb.authoring.advisories_oval import oval_statements

        yield from oval_statements(data, name)
        return
    for number, value in _json_values(data, name):
        where = name if number is None else f"{name}:{number}"
        try:
            yield from _json_statements(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableInput(f"{where}: neither an OSV nor a CSAF document ({error!r})") from error


def _json_values(data: bytes, name: str) -> Iterator[tuple[int | None, Any]]:
    try:
        yield None, json.loads(data)
    except ValueError:
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise UnreadableInput(f"{name}:{number}: not JSON: {error}") from error


def _json_statements(value: Any) -> Iterator[Statement]:
    if isinstance(value, list):
        for item in value:
            yield from _json_statements(item)
    elif "document" in value and "vulnerabilities" in value:
        from kbmatch.kb.authoring.advisories_csaf import csaf_statements

        yield from csaf_statements(value)
    else:
        from kbmatch.kb.authoring.advisories_osv import osv_statements

        yield from osv_statements(value)


def collect(
    statements: Iterable[Statement], products: Products, wanted: Callable[[str], bool] = lambda cve: True
) -> Imported:
    """The first fixed version of each product and line, by CVE id; `wanted` says which ids are kept."""
    found = Imported({}, 0, Counter())
    known: dict[tuple[str, bool], tuple[Product, str | None] | None] = {}
    for statement in statements:
        found.statements += 1
        if not PACKAGES.fullmatch(statement.package):
            found.left_out[f"package {statement.package}"] += 1
            continue
        if not wanted(statement.cve):
            found.left_out["CVE that no rule names"] += 1
            continue
        key = (statement.version, statement.extended)
        if key not in known:
            known[key] = _product_of(statement, products)
        place = known[key]
        if place is None:
            found.left_out["version of no product in the table"] += 1
            continue
        product, stream = place
        fixed = FixedVersion(product.id, statement.version, statement.advisory, stream)
        vendor = _VENDORS.get(statement.advisory.split("-")[0].upper(), "other")
        _keep_first(found.fixed.setdefault(vendor, {}).setdefault(statement.cve, []), fixed, product.scheme)
    return found


def _keep_first(kept: list[FixedVersion], fixed: FixedVersion, scheme: str) -> None:
    """Of one line keep the oldest version that mends; the rest of its advisories only repeat it."""
    for index, other in enumerate(kept):
        if (other.product, other.stream) == (fixed.product, fixed.stream):
            a, b = strip_suffixes(scheme, fixed.version), strip_suffixes(scheme, other.version)
            if compare(scheme, a, b) < 0:
                kept[index] = fixed
            return
    kept.append(fixed)


def _product_of(statement: Statement, products: Products) -> tuple[Product, str | None] | None:
    """(product of the family, stream or None for its main line) of a fixed version."""
    kernel = products.identify(Kernel(release=f"{statement.version}.x86_64", arch="x86_64"))
    product = products.get(kernel.product)
    if product is None or product.tracks_stable:
        return None
    root = products.get(product.family) if product.family else product
    if root is None or not is_valid(root.scheme, strip_suffixes(root.scheme, statement.version)):
        return None
    if root.sequential and not statement.extended:
        return root, None
    if root.has_several_streams and kernel.stream is None:
        return None
    return root, kernel.stream if root.has_several_streams else None


def merged(
    old: dict[str, list[FixedVersion]], new: dict[str, list[FixedVersion]], products: Products
) -> dict[str, list[FixedVersion]]:
    """Both, the oldest fixed version of each line kept."""
    result = {cve: list(lines) for cve, lines in old.items()}
    for cve, lines in new.items():
        for fixed in lines:
            product = products.get(fixed.product)
            _keep_first(result.setdefault(cve, []), replace(fixed), product.scheme if product else "rpm")
    return result


SOURCES = {
    "almalinux": "AlmaLinux OSV advisories (MIT), https://github.com/AlmaLinux/osv-database",
    "rockylinux": "Rocky Linux OSV advisories",
    "redhat": "Red Hat CSAF or OVAL (CC BY 4.0), https://security.access.redhat.com/data/",
    "oracle": "Oracle Linux CSAF or OVAL, https://linux.oracle.com/security/",
    "other": "advisories of another vendor",
}


def advisories_text(vendor: str, fixed: dict[str, list[FixedVersion]]) -> str:
    """The file of one vendor, sorted by CVE id."""
    lines = [
        "# Written by kbmatch kb advisories (see NOTICE): product, fixed version, advisory, stream where bound to one."
    ]
    lines += ["format: 1", f'source: "{SOURCES.get(vendor, SOURCES["other"])}"', "fixed:"]

    def order(cve: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", cve))

    for cve in sorted(fixed, key=order):
        parts = sorted(fixed[cve], key=lambda f: (f.product, f.stream or ""))
        texts = (" ".join(filter(None, (f.product, f.version, f.advisory, f.stream))) for f in parts)
        lines.append(f"  {cve}: [{', '.join(json.dumps(text) for text in texts)}]")
    return "\n".join(lines) + "\n"
