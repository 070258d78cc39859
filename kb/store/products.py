"""Reads kb/products.yaml into the product table; every mistake is named by file, line and column."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from kbmatch.engine.document import Mapping, Node, Problems, Reader, Scalar
from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.linear_regex import why_not_linear
from kbmatch.engine.patterns import lazy
from kbmatch.engine.products import FIELDS, GROUPS, LINUX_STABLE, Commands, Pattern, Product, Products, Stream
from kbmatch.engine.values import replace
from kbmatch.engine.versions.compare import SCHEMES

SHIPPED = Path(__file__).resolve().parent.parent / "products.yaml"
"""The table that is shipped with kbmatch."""

CODE = "product-table"


class _Problems(Problems):
    """Collects problems, and knows whether regular expressions are to be checked (it takes most of the time)."""

    def __init__(self, checked: bool) -> None:
        super().__init__()
        self.checked = checked


_KEYS = (
    "id", "name", "vendor", "scheme", "tracks", "family", "base", "recognise", "read", "streams",
    "stream-form", "sequential", "rolling", "backports",
    "hidden-rebuild", "package", "dists", "commands", "reboot", "livepatch",
)  # fmt: skip
_ID = lazy(r"[a-z][a-z0-9-]{0,39}\Z")
_STREAM_ID = lazy(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_DIST = lazy(r"[A-Za-z0-9_]{1,20}\Z")
_PLACEHOLDER = lazy(r"\{[^{}]*\}")


def load_products(path: Path | None = None) -> Products:
    """Return the product table of `path` (default: the shipped one); an unchanged file is parsed once.

    The regular expressions of the shipped table are trusted; a test checks them with `check_table`. Raises
    KnowledgeError with everything that is wrong, each with file:line:column.
    """
    path = SHIPPED if path is None else path
    try:
        stat = path.stat()
    except OSError as error:
        message = f"{error.strerror}: name an existing product table"
        raise KnowledgeError([Diagnostic(str(path), 1, 1, "unreadable", message)]) from error
    return _load(path, stat.st_size, stat.st_mtime_ns)


def check_table(path: Path) -> Products:
    """Return the product table after checking its regular expressions too. Raises KnowledgeError."""
    return _parse(path, checked=True)


@lru_cache(maxsize=8)
def _load(path: Path, size: int, mtime_ns: int) -> Products:
    return _parse(path, checked=path.resolve() != SHIPPED)


def _parse(path: Path, *, checked: bool) -> Products:
    from kbmatch.kb.store.yaml_reader import read_yaml

    return table_of(read_yaml(path), checked=checked)


def table_of(node: Node, *, checked: bool = False) -> Products:
    """Return the product table of a document; with `checked` its regular expressions are tried, too.

    Raises KnowledgeError with everything that is wrong.
    """
    problems = _Problems(checked)
    products = _table(node, problems)
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return Products(products)


def _table(root: Node, problems: Problems) -> list[Product]:
    if not isinstance(root, Mapping):
        problems.add(root, CODE, "the file must be a mapping with 'format' and 'products'")
        return []
    reader = Reader(root, problems, "the product table")
    reader.check_keys(("format", "products"), required=("format", "products"))
    if reader.integer("format") != 1:
        problems.add(root.get("format") or root, CODE, "'format' must be 1")
    products: dict[str, Product] = {}
    for node in reader.mappings("products"):
        product = _product(node, products, problems)
        if product is None:
            continue
        if product.id in products:
            problems.add(node, CODE, f"product {product.id!r} is declared twice")
        products[product.id] = product
    # Members of a family are recognised by more than the family itself, hence before it.
    return sorted(products.values(), key=lambda p: p.family is None)


def _product(node: Mapping, earlier: dict[str, Product], problems: Problems) -> Product | None:
    reader = Reader(node, problems, "a product")
    reader.check_keys(_KEYS, required=("id", "name", "vendor"))
    product_id = _formed(reader, "id", _ID) or ""
    family_id = reader.text("family")
    family = earlier.get(family_id) if family_id is not None else None
    if family_id is not None and family is None:
        problems.add(node.get("family") or node, CODE, f"family {family_id!r} is not declared above")
        return None
    if family is None:
        reader.check_keys(_KEYS, required=("scheme", "recognise"))
        base = Product(id=product_id, name="", vendor="", scheme="")
    else:
        # What another vendor's support offers is not inherited.
        base = replace(family, livepatch=None)
    changes: dict[str, Any] = {
        "name": reader.text("name"),
        "vendor": reader.text("vendor"),
        "scheme": reader.one_of("scheme", SCHEMES),
        "tracks": reader.one_of("tracks", (LINUX_STABLE,)),
        "base": reader.text("base"),
        "recognise": _patterns(reader, "recognise"),
        "read": _patterns(reader, "read"),
        "streams": _streams(reader),
        "stream_form": _expression(node.get("stream-form"), problems),
        "sequential": _boolean(reader, "sequential"),
        "rolling": _boolean(reader, "rolling"),
        "backports": _boolean(reader, "backports"),
        "hidden_rebuild": _boolean(reader, "hidden-rebuild"),
        "package": reader.text("package"),
        "dists": reader.texts("dists"),
        "commands": _commands(node.get("commands"), problems),
        "reboot": reader.text("reboot"),
        "livepatch": reader.text("livepatch"),
    }
    for dist in changes["dists"]:
        if _DIST.match(dist) is None:
            problems.add(node.get("dists") or node, CODE, f"{dist!r} is no dist tag such as 'el8uek'")
    given = {k: v for k, v in changes.items() if node.get(k.replace("_", "-")) is not None and v is not None}
    return replace(base, id=product_id, family=family_id, **given)


def _streams(reader: Reader) -> tuple[Stream, ...]:
    streams: list[Stream] = []
    for node in reader.mappings("streams"):
        entry = Reader(node, reader.problems, "a stream")
        entry.check_keys(("id", "name", "match"), required=("id", "match"))
        stream_id = _formed(entry, "id", _STREAM_ID) or ""
        if any(s.id == stream_id for s in streams):
            reader.problems.add(node, CODE, f"stream {stream_id!r} is declared twice")
        streams.append(Stream(stream_id, entry.text("name") or stream_id, _patterns(entry, "match")))
    return tuple(streams)


def _patterns(reader: Reader, key: str) -> tuple[Pattern, ...]:
    patterns: list[Pattern] = []
    for node in reader.mappings(key):
        Reader(node, reader.problems, "a pattern").check_keys(FIELDS)
        found = [(str(name.value), _expression(value, reader.problems)) for name, value in node.entries]
        expressions = tuple((name, expression) for name, expression in found if expression is not None)
        if not node.entries:
            reader.problems.add(node, CODE, f"a pattern needs at least one of {', '.join(FIELDS)}")
        patterns.append(Pattern(expressions))
    return tuple(patterns)


def _expression(node: Node | None, problems: Problems) -> str | None:
    if node is None:
        return None
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        problems.add(node, CODE, "a regular expression must be a quoted string")
        return None
    if isinstance(problems, _Problems) and not problems.checked:
        return node.value
    why = why_not_linear(node.value)
    if why is not None:
        problems.add(node, CODE, f"the regular expression cannot be used: {why}")
        return None
    unknown = sorted(set(re.compile(node.value).groupindex) - set(GROUPS))
    if unknown:
        problems.add(node, CODE, f"no group is named {unknown[0]!r}; known are {', '.join(GROUPS)}")
    return node.value


def _commands(node: Node | None, problems: Problems) -> Commands | None:
    if node is None:
        return None
    if not isinstance(node, Mapping):
        problems.add(node, CODE, "'commands' must be a mapping")
        return None
    reader = Reader(node, problems, "'commands'")
    reader.check_keys(("upgrade", "latest", "changelog"))
    lists = {key: reader.texts(key) for key in ("upgrade", "latest", "changelog")}
    for key, words in lists.items():
        allowed = {"{package}", "{version}"} if key == "upgrade" else {"{package}"}
        for unknown in {p for w in words for p in _PLACEHOLDER.findall(w)} - allowed:
            problems.add(
                node.get(key) or node,
                CODE,
                f"{key!r} cannot hold {unknown}; known are {', '.join(sorted(allowed))}",
            )
    return Commands(**{key: words or None for key, words in lists.items()})


def _formed(reader: Reader, key: str, form: re.Pattern[str]) -> str | None:
    text = reader.text(key)
    if text is not None and form.match(text) is None:
        reader.problems.add(
            reader.node.get(key) or reader.node, CODE, f"{text!r} does not have the form {form.pattern}"
        )
        return None
    return text


def _boolean(reader: Reader, key: str) -> bool | None:
    node = reader.node.get(key)
    if node is None:
        return None
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    reader.problems.add(node, CODE, f"{key!r} must be true or false")
    return None
