"""Reads kb/products.yaml: the product table (engine.products) with every mistake named by file, line and column."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from kbmatch.engine.errors import Diagnostic, KnowledgeError
from kbmatch.engine.products import FIELDS, GROUPS, LINUX_STABLE, Commands, Pattern, Product, Products, Stream
from kbmatch.engine.versions.compare import SCHEMES

SHIPPED = Path(__file__).resolve().parent.parent / "products.yaml"
"""The table that is shipped with kbmatch."""

MAX_BYTES = 1 << 20

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ID = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
_STREAM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_DIST = re.compile(r"[A-Za-z0-9_]{1,20}\Z")


def load_products(path: Path | None = None) -> Products:
    """Return the product table of `path` (default: the shipped one). The same file is parsed once a process.

    Raises KnowledgeError with everything that is wrong, each with file:line:column.
    """
    path = SHIPPED if path is None else path
    try:
        stat = path.stat()
    except OSError as error:
        raise _failure(path, f"cannot be read: {error.strerror}; name an existing product table") from error
    return _load(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _load(path: Path, size: int, mtime_ns: int) -> Products:
    if size > MAX_BYTES:
        raise _failure(path, f"is {size} bytes long, more than the {MAX_BYTES} of a product table")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _failure(path, f"cannot be read as UTF-8 text: {error}") from error
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise KnowledgeError([Diagnostic(str(path), line, column, "yaml", str(error.problem))]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _failure(path, f"is not YAML: {error}") from error
    reader = _Reader(str(path))
    products = reader.table(root)
    if reader.diagnostics:
        raise KnowledgeError(reader.diagnostics)
    return Products(products)


def _failure(path: Path, message: str) -> KnowledgeError:
    return KnowledgeError([Diagnostic(str(path), 1, 1, "products", message)])


class _Reader:
    """Walks the YAML nodes; collects diagnostics and goes on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self.seen: set[int] = set()

    def problem(self, node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.diagnostics.append(Diagnostic(self.file, line, column, "products", message))

    def table(self, root: yaml.Node | None) -> list[Product]:
        if root is None:
            self.diagnostics.append(
                Diagnostic(self.file, 1, 1, "products", "the file is empty: expected products")
            )
            return []
        fields = self.mapping(root, {"format", "products"}, required=("format", "products"))
        if "format" in fields and self.text(fields["format"]) != "1":
            self.problem(fields["format"], "format must be 1")
        products: dict[str, Product] = {}
        for node in self.sequence(fields.get("products")):
            product = self.product(node, products)
            if product is None:
                continue
            if product.id in products:
                self.problem(node, f"product {product.id!r} is declared twice")
            products[product.id] = product
        # Members of a family are recognised by more than the family itself, hence before it.
        return sorted(products.values(), key=lambda p: p.family is None)

    def product(self, node: yaml.Node, earlier: dict[str, Product]) -> Product | None:
        keys = {
            "id", "name", "vendor", "scheme", "tracks", "family", "recognise", "read", "streams", "sequential",
            "rolling", "package", "dists", "commands", "reboot", "livepatch",
        }  # fmt: skip
        fields = self.mapping(node, keys, required=("id", "name", "vendor"))
        product_id = self.text(fields.get("id"), _ID) or ""
        family_id = self.text(fields.get("family"))
        family = earlier.get(family_id) if family_id is not None else None
        if family_id is not None and family is None:
            self.problem(fields["family"], f"family {family_id!r} is not declared above")
            return None
        base = family or Product(id=product_id, name="", vendor="", scheme="")
        if family is None:
            for key in ("scheme", "recognise"):
                if key not in fields:
                    self.problem(node, f"{key} is missing")
        changes: dict[str, Any] = {"id": product_id, "family": family_id}
        readers: dict[str, Callable[[yaml.Node], Any]] = {
            "name": self.text,
            "vendor": self.text,
            "scheme": lambda n: self.one_of(n, SCHEMES),
            "tracks": lambda n: self.one_of(n, (LINUX_STABLE,)),
            "recognise": self.patterns,
            "read": self.patterns,
            "streams": self.streams,
            "sequential": self.boolean,
            "rolling": self.boolean,
            "package": self.text,
            "dists": lambda n: tuple(self.text(i, _DIST) or "" for i in self.sequence(n)),
            "commands": self.commands,
            "reboot": self.text,
            "livepatch": self.text,
        }
        for key, read in readers.items():
            if key in fields:
                changes[key] = read(fields[key])
        return replace(base, **changes)

    def streams(self, node: yaml.Node) -> tuple[Stream, ...]:
        streams: list[Stream] = []
        for item in self.sequence(node):
            fields = self.mapping(item, {"id", "name", "match", "dist"}, required=("id", "match"))
            stream_id = self.text(fields.get("id"), _STREAM_ID) or ""
            if any(s.id == stream_id for s in streams):
                self.problem(item, f"stream {stream_id!r} is declared twice")
            patterns = self.patterns(fields["match"]) if "match" in fields else ()
            name = self.text(fields.get("name")) or stream_id
            streams.append(Stream(stream_id, name, patterns, self.text(fields.get("dist"), _DIST)))
        return tuple(streams)

    def commands(self, node: yaml.Node) -> Commands:
        fields = self.mapping(node, {"upgrade", "latest", "changelog"})
        lists = {k: tuple(self.text(i) or "" for i in self.sequence(n)) for k, n in fields.items()}
        for key, words in lists.items():
            for word in words:
                placeholders = set(re.findall(r"\{[^}]*\}", word))
                if placeholders - ({"{package}", "{version}"} if key == "upgrade" else {"{package}"}):
                    self.problem(fields[key], f"unknown placeholder in {word!r}")
        return Commands(**lists)

    def patterns(self, node: yaml.Node) -> tuple[Pattern, ...]:
        patterns: list[Pattern] = []
        for item in self.sequence(node):
            expressions = []
            for name, value in self.mapping(item, set(FIELDS)).items():
                expression = self.expression(value)
                if expression is not None:
                    expressions.append((name, expression))
            if not expressions:
                self.problem(item, f"a pattern names at least one of {', '.join(FIELDS)}")
            patterns.append(Pattern(tuple(expressions)))
        return tuple(patterns)

    def expression(self, node: yaml.Node) -> re.Pattern[str] | None:
        text = self.text(node)
        if text is None:
            return None
        try:
            expression = re.compile(text, re.ASCII)
        except re.error as error:
            self.problem(node, f"not a regular expression: {error}")
            return None
        unknown = sorted(set(expression.groupindex) - set(GROUPS))
        if unknown:
            self.problem(node, f"unknown group {unknown[0]!r}: one of {', '.join(GROUPS)}")
        return expression

    def mapping(
        self, node: yaml.Node, allowed: set[str], required: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode) or not self.fresh(node):
            self.problem(node, f"expected a mapping with {', '.join(sorted(allowed))}")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node)
            if key is None:
                continue
            if key not in allowed:
                self.problem(key_node, f"unknown key {key!r}: one of {', '.join(sorted(allowed))}")
            elif key in fields:
                self.problem(key_node, f"key {key!r} stands here twice")
            else:
                fields[key] = value
        for key in required:
            if key not in fields:
                self.problem(node, f"{key} is missing")
        return fields

    def sequence(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode) or not self.fresh(node):
            self.problem(node, "expected a list")
            return []
        return list(node.value)

    def fresh(self, node: yaml.Node) -> bool:
        # An alias yields the same node again; it could also hold itself.
        if id(node) in self.seen:
            self.problem(node, "YAML anchors are not allowed: write it out")
            return False
        self.seen.add(id(node))
        return True

    def text(self, node: yaml.Node | None, form: re.Pattern[str] | None = None) -> str | None:
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, "expected a text")
            return None
        if form is not None and form.match(node.value) is None:
            self.problem(node, f"{node.value!r} does not have the form {form.pattern}")
            return None
        if form is not None and node.style is None and not node.tag.endswith(":str"):
            self.problem(node, f"put {node.value!r} in quotes: YAML reads it as a number")
        return str(node.value)

    def one_of(self, node: yaml.Node, values: tuple[str, ...]) -> str | None:
        text = self.text(node)
        if text not in values:
            self.problem(node, f"{text!r} is not one of {', '.join(values)}")
        return text

    def boolean(self, node: yaml.Node) -> bool:
        return self.one_of(node, ("true", "false")) == "true"
