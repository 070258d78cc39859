"""Types from layout tables: those of the knowledge base, by release, and those that a probe brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kbmatch.collectors.types.catalogue import TypeCatalogue, UnknownType
from kbmatch.collectors.types.model import U8, U16, U32, U64, VOID, Array, CType, Member, Struct
from kbmatch.engine.layout import LaidStruct, Layout
from kbmatch.engine.probe import MemberLayout
from kbmatch.engine.values import dataclass

_BY_SIZE: Mapping[int, CType] = {1: U8, 2: U16, 4: U32, 8: U64}


@dataclass(frozen=True, slots=True)
class LayoutTypes:
    """The structs of one layout. Types that it does not describe are looked up in the catalogue that it is part of."""

    layout: Layout
    catalogue: Callable[[], TypeCatalogue]

    @property
    def label(self) -> str:
        """See TypeSource."""
        return f"layout {self.layout.id}"

    def find(self, name: str) -> CType | None:
        """See TypeSource."""
        if name in self.layout.aliases:
            return _resolve(self.catalogue(), self.layout.aliases[name])
        laid = self.layout.structs.get(name)
        return None if laid is None else Struct(name, laid.size, lambda: self._members(laid))

    def _members(self, laid: LaidStruct) -> tuple[Member, ...]:
        types = self.catalogue()
        return tuple(
            Member(name, _resolve(types, member.type_name), member.offset, member.bits)
            for name, member in laid.members.items()
        )


@dataclass(frozen=True, slots=True)
class ProbeLayouts:
    """The structs of a public ABI that a probe describes itself."""

    structs: Mapping[str, Mapping[str, MemberLayout]]
    catalogue: Callable[[], TypeCatalogue]

    @property
    def label(self) -> str:
        """See TypeSource."""
        return "the probe's own layout"

    def find(self, name: str) -> CType | None:
        """See TypeSource."""
        laid = self.structs.get(name)
        if laid is None:
            return None
        size = max((m.offset + m.size for m in laid.values()), default=0)
        return Struct(name, size, lambda: tuple(self._member(n, m) for n, m in laid.items()))

    def _member(self, name: str, laid: MemberLayout) -> Member:
        if laid.type_name is not None:
            return Member(name, _resolve(self.catalogue(), laid.type_name), laid.offset)
        return Member(name, _BY_SIZE.get(laid.size, Array(U8, laid.size)), laid.offset)


def _resolve(types: TypeCatalogue, declaration: str) -> CType:
    try:
        return types.resolve(declaration)
    except UnknownType:
        return VOID
