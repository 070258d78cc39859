"""Layouts: where the members of a kernel's structs lie, for kernels that ship no type information of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbmatch.engine.values import dataclass, field


@dataclass(frozen=True, slots=True)
class LaidMember:
    """A member: its offset in bytes and its type as C would declare it ("u32", "struct sk_buff *[256]").

    A bit field has `bits`, its first bit counted from the offset and its width.
    """

    offset: int
    type_name: str
    bits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class LaidStruct:
    """A struct or union: its size in bytes (None where not known) and the members that are known."""

    size: int | None
    members: Mapping[str, LaidMember]


@dataclass(frozen=True, slots=True)
class Layout:
    """Structs ("struct netfront_queue") of the kernels whose release fits one of `releases`, or of `build_ids`.

    A release is given in full, or with "*" for any run of characters.
    """

    id: str
    source: str
    releases: tuple[str, ...] = ()
    build_ids: tuple[str, ...] = ()
    structs: Mapping[str, LaidStruct] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def fits(self, release: str | None, build_id: str | None) -> bool:
        """Whether it was made for this kernel."""
        if build_id is not None and build_id in self.build_ids:
            return True
        return release is not None and any(_fits(pattern, release) for pattern in self.releases)


def _fits(pattern: str, release: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), release) is not None
