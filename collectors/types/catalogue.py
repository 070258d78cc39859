"""One answer to "what is struct x": the first of several sources that knows it, and C's way of writing types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from kbmatch.collectors.types.model import BASE_TYPES, VOID, Array, CType, Pointer, Struct

_DECLARATION = re.compile(
    r"(?P<base>(?:struct|union|enum)\s+\w+|[A-Za-z_]\w*(?:\s+(?:int|char|short|long|unsigned|signed))*)"
    r"\s*(?P<stars>(?:\*\s*){0,8})(?P<dimensions>(?:\[\d{0,9}\]\s*){0,4})"
)
_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict)\b")


class TypeSource(Protocol):
    """Knows types by name: "struct x", "union x", "enum x", or a typedef's or base type's plain name."""

    @property
    def label(self) -> str:
        """Where the types come from, for the report."""
        ...

    def find(self, name: str) -> CType | None:
        """The type, complete; None where it is not known or only declared."""
        ...


class UnknownType(Exception):
    """No source knows the type; `name` is the type's."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the type {name} is not known")


class TypeCatalogue:
    """Types by name from several sources, the first that knows one wins. Answers are kept."""

    def __init__(self, sources: Iterable[TypeSource]) -> None:
        self._sources = tuple(sources)
        self._found: dict[str, CType | None] = {}
        self.used: dict[str, None] = {}

    def find(self, name: str) -> CType | None:
        """A type by its plain name (no stars), None where no source knows it."""
        if name not in self._found:
            self._found[name] = None
            for source in self._sources:
                found = source.find(name)
                if found is not None and not (isinstance(found, Struct) and found.known_size is None):
                    self._found[name] = found
                    self.used[source.label] = None
                    break
                # a struct of which some members are known beats nothing
                self._found[name] = self._found[name] or found
            else:
                self._found[name] = self._found[name] or BASE_TYPES.get(name)
        return self._found[name]

    def resolve(self, declaration: str) -> CType:
        """The type that C's "struct x *", "u32" or "struct x *[256]" names. Raises UnknownType.

        What a pointer points to may be unknown: it then is void.
        """
        folded = " ".join(_QUALIFIERS.sub(" ", declaration).split())
        found = _DECLARATION.fullmatch(folded)
        if found is None:
            raise UnknownType(folded)
        base = " ".join(found["base"].split())
        stars = found["stars"].count("*")
        type_: CType
        if stars:
            type_ = Pointer(lambda: self.find(base) or VOID)
            for _ in range(stars - 1):
                type_ = Pointer(type_)
        else:
            known = self.find(base)
            if known is None:
                raise UnknownType(base)
            type_ = known
        for dimension in reversed(re.findall(r"\[(\d*)\]", found["dimensions"])):
            type_ = Array(type_, int(dimension or 0))
        return type_

    def complete(self, type_: CType) -> CType:
        """A struct that its own source only declares, as another source knows it."""
        if isinstance(type_, Struct) and type_.known_size is None and not type_.members:
            return self.find(type_.name) or type_
        return type_
