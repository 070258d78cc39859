"""Version ranges of rules and advisories: [introduced, fixed) in a branch or a stream, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key

from kbmatch.engine.products import UPSTREAM, Product, Products
from kbmatch.engine.values import dataclass
from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import compare, is_valid, strip_suffixes

ALWAYS = "0"
"""As `introduced`: the defect was always there."""

UNSURE = "unknown"
"""As `introduced`: an advisory names the fix, but not since when the vendor's kernel has the defect."""


@dataclass(frozen=True, slots=True)
class VersionRange:
    """[introduced, fixed): `introduced` "0" = always, `fixed` None = not fixed in this line.

    `introduced` may be UNSURE, too: the fix is known, the beginning is not. `branch` binds it to an upstream stable
    branch ("6.1"; None = mainline), `stream` to a line of a product.
    """

    introduced: str
    fixed: str | None = None
    branch: str | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Affected:
    """The ranges of one product, and where they come from."""

    product: str
    ranges: tuple[VersionRange, ...]
    source: str | None = None


class RangeProblem(str):
    """One thing wrong with a range: a sentence, with the linter's `code` and the `key` of the range it is about."""

    __slots__ = ("code", "key")
    code: str
    key: str

    def __new__(cls, text: str, code: str, key: str) -> RangeProblem:
        """The sentence, with what it is about."""
        problem = super().__new__(cls, text)
        problem.code = code
        problem.key = key
        return problem


def check_range(version_range: VersionRange, product_id: str, products: Products) -> list[RangeProblem]:
    """Return the problems of one range, each as a sentence for the linter; empty if there are none."""
    product = products.get(product_id)
    if product is None:
        return [
            RangeProblem(f"unknown product {product_id!r}: name one of kb/products.yaml", "unknown-product", "product")
        ]
    problems: list[RangeProblem] = []
    scheme = product.scheme
    texts = {"introduced": version_range.introduced, "fixed": version_range.fixed}
    for name, text in texts.items():
        if text is None or (name == "introduced" and text in (ALWAYS, UNSURE)):
            continue
        if not is_valid(scheme, strip_suffixes(scheme, text)):
            problems.append(RangeProblem(f"{name} {text!r} is no version of scheme {scheme}", "bad-version", name))
    if not problems and version_range.fixed is not None and version_range.introduced not in (ALWAYS, UNSURE):
        introduced = strip_suffixes(scheme, version_range.introduced)
        fixed = strip_suffixes(scheme, version_range.fixed)
        order = compare(scheme, fixed, introduced)
        # Upstream, "introduced 6.7, fixed 6.7" is a defect of pre-releases alone: within the rc phase.
        if order < 0 or (order == 0 and (scheme != "upstream" or "-rc" in fixed)):
            text = f"fixed {version_range.fixed!r} is not after introduced {version_range.introduced!r}"
            problems.append(RangeProblem(text, "range-order", "fixed"))
    problems += _check_line(version_range, product, bool(problems))
    return problems


def _check_line(version_range: VersionRange, product: Product, malformed: bool) -> list[RangeProblem]:
    branch = version_range.branch
    if product.id == UPSTREAM:
        if version_range.stream is not None:
            return [RangeProblem("upstream ranges are bound by branch, not by stream", "bad-branch", "stream")]
        fixed = upstream.parse(version_range.fixed or "")
        if branch is None:
            if fixed is not None and fixed.is_stable:
                text = f'fixed {version_range.fixed!r} is of a stable branch: add branch: "{fixed.branch}"'
                return [RangeProblem(text, "missing-branch", "fixed")]
            return []
        parsed = upstream.parse(branch)
        if parsed is None or parsed.branch != branch:
            return [RangeProblem(f'branch {branch!r} is no stable branch such as "6.1"', "bad-branch", "branch")]
        if fixed is not None and fixed.branch != branch and not malformed:
            text = f"fixed {version_range.fixed!r} does not lie in branch {branch!r}"
            return [RangeProblem(text, "bad-branch", "fixed")]
        return []
    problems = []
    if branch is not None:
        text = f"branch is for product {UPSTREAM} only: {product.id} has streams"
        problems.append(RangeProblem(text, "bad-branch", "branch"))
    known = ", ".join(s.id for s in product.streams) or product.stream_form or "none"
    if version_range.stream is not None and not product.knows_stream(version_range.stream):
        text = f"unknown stream {version_range.stream!r} of {product.id} (known: {known})"
        problems.append(RangeProblem(text, "unknown-stream", "stream"))
    if version_range.stream is None and product.has_several_streams and not product.sequential:
        text = f"{product.id} has several streams: name the stream of the range (known: {known})"
        problems.append(RangeProblem(text, "missing-stream", "introduced"))
    return problems


def well_formed(version_range: VersionRange, scheme: str) -> bool:
    """Whether both bounds are versions of the scheme; rules that were not linted may hold anything."""
    introduced = None if version_range.introduced in (ALWAYS, UNSURE) else version_range.introduced
    bounds = [version_range.fixed, introduced]
    return all(b is None or is_valid(scheme, strip_suffixes(scheme, b)) for b in bounds)


def recommended_fix(hit: VersionRange, ranges: Sequence[VersionRange], scheme: str) -> str | None:
    """Return the first version at or after the hit range's end that no range holds; None if none."""
    candidate = hit.fixed
    for _ in ranges:
        if candidate is None:
            return None
        bare = strip_suffixes(scheme, candidate)
        for other in ranges:
            always = other.introduced in (ALWAYS, UNSURE)
            start = always or compare(scheme, bare, strip_suffixes(scheme, other.introduced)) >= 0
            if start and (other.fixed is None or compare(scheme, bare, strip_suffixes(scheme, other.fixed)) < 0):
                candidate = other.fixed
                break
        else:
            break
    return candidate


def oldest(versions: Sequence[str], scheme: str) -> str | None:
    """Return the oldest of some valid versions, suffixes aside; None of none."""

    def order(a: str, b: str) -> int:
        return compare(scheme, strip_suffixes(scheme, a), strip_suffixes(scheme, b))

    return min(versions, key=cmp_to_key(order), default=None)
