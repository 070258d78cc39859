"""Explanation: why a condition is true, false or unknown, as a tree of the condition's own shape."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.engine.logic import Truth
from kbmatch.engine.values import dataclass

Observed = int | str | tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node. `label` reads as the condition ("address is 0x2c", "all", "any record of ...").

    A leaf has `fact`, the value `observed` (None where unknown) and the `source` it stands in ("line 3",
    "address 0x...", "register rbx"); other nodes have `children`. `why` says what is missing where unknown. `score` is
    that of a scored leaf (engine/similarity.py), None of others.
    """

    truth: Truth
    label: str
    fact: str | None = None
    observed: Observed = None
    source: str | None = None
    why: str | None = None
    children: tuple[Explanation, ...] = ()
    score: float | None = None

    def leaves(self) -> Iterator[Explanation]:
        """All leaves, in the order of the rule."""
        if self.fact is not None:
            yield self
        for child in self.children:
            yield from child.leaves()

    def decisive(self) -> tuple[Explanation, ...]:
        """The leaves that made this node what it is: for a false "all" the false ones, and so on."""
        if self.fact is not None or not self.children:
            return (self,)
        if self.label == "not":
            return self.children[0].decisive()
        same = [c for c in self.children if c.truth is self.truth]
        return tuple(leaf for child in same for leaf in child.decisive())
