"""Affected ranges: is the running kernel one of those that have the defect, and which version of its line mends it.

Semantics: DESIGN.md, "Rules". Ranges are half-open, [introduced, fixed). A vendor's own ranges win over upstream's;
upstream's hold for upstream kernels and for products that track linux-stable, by their upstream base, never for
others. Versions of a line that no range names are unknown.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kbmatch.engine.incident import Kernel
from kbmatch.engine.products import UPSTREAM, Product, Products
from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import compare, is_valid, strip_suffixes
from kbmatch.engine.versions.upstream import UpstreamVersion

ALWAYS = "0"
"""As `introduced`: the defect was always there."""


@dataclass(frozen=True, slots=True)
class VersionRange:
    """[introduced, fixed): `introduced` "0" = always, `fixed` None = not fixed in this line.

    `branch` binds it to an upstream stable branch ("6.1"; None = mainline), `stream` to a line of a product.
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


class VersionStatus(enum.Enum):
    """What the version says about the defect (V in DESIGN.md's table of verdicts)."""

    AFFECTED = "affected"
    FIXED = "fixed"
    BEFORE_INTRODUCED = "before-introduced"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VersionJudgement:
    """What `judge` found.

    `product` and `stream` are those of the kernel; `running` is the version that was compared. `fixed` is the version
    to recommend in this product and stream, None if none is known; with status FIXED the version that mended it.
    `by_upstream`: `running` and `fixed` are upstream numbers, not those of the product's packages. `why` is one sentence.
    """

    status: VersionStatus
    product: str | None
    stream: str | None
    running: str | None
    fixed: str | None
    source: str | None
    why: str
    by_upstream: bool = False


class _Answer(Protocol):
    """Fills in what all judgements of one kernel share."""

    def __call__(
        self, status: VersionStatus, why: str, span: _Span | None = None, fixed: str | None = None
    ) -> VersionJudgement: ...


@dataclass(frozen=True, slots=True)
class _Span:
    range: VersionRange
    source: str | None


def judge(affected: Sequence[Affected], kernel: Kernel, products: Products) -> VersionJudgement:
    """Return whether the kernel is affected, judged in its own product and stream."""
    product = products.get(kernel.product)
    if kernel.livepatched:
        why = "the kernel is live-patched, so its version does not tell which fixes it runs with"
        running = product.running_version(kernel) if product else kernel.release
        return VersionJudgement(
            VersionStatus.UNKNOWN, kernel.product, kernel.stream, running, None, None, why
        )
    if product is None:
        what = kernel.release or "a kernel without a release"
        why = f"{what} is of no vendor in the product table, and a version number alone does not tell what it holds"
        return VersionJudgement(
            VersionStatus.UNKNOWN, kernel.product, kernel.stream, kernel.release, None, None, why
        )
    unknown: VersionJudgement | None = None
    if product.id != UPSTREAM:
        for product_id in products.related(product.id):
            spans = _spans(affected, product_id)
            if spans:
                judgement = _judge_vendor(spans, product, kernel)
                if judgement.status is not VersionStatus.UNKNOWN:
                    return judgement
                unknown = unknown or judgement
    if product.tracks_stable:
        spans = _spans(affected, UPSTREAM)
        if spans:
            return _judge_upstream(spans, product, kernel, unknown)
    if unknown is not None:
        return unknown
    why = f"no affected versions are known for {product.name}"
    if not product.tracks_stable and _spans(affected, UPSTREAM):
        why += ", and its version numbers do not follow upstream's"
    running = product.running_version(kernel)
    return VersionJudgement(VersionStatus.UNKNOWN, product.id, kernel.stream, running, None, None, why)


def check_range(version_range: VersionRange, product_id: str, products: Products) -> list[str]:
    """Return the problems of one range, each as a sentence for the linter; empty if there are none."""
    product = products.get(product_id)
    if product is None:
        return [f"unknown product {product_id!r}: name one of kb/products.yaml"]
    problems: list[str] = []
    scheme = product.scheme
    texts = {"introduced": version_range.introduced, "fixed": version_range.fixed}
    for name, text in texts.items():
        if text is None or (name == "introduced" and text == ALWAYS):
            continue
        if not is_valid(scheme, strip_suffixes(scheme, text)):
            problems.append(f"{name} {text!r} is no version of scheme {scheme}")
    if not problems and version_range.fixed is not None and version_range.introduced != ALWAYS:
        introduced = strip_suffixes(scheme, version_range.introduced)
        fixed = strip_suffixes(scheme, version_range.fixed)
        order = compare(scheme, fixed, introduced)
        # Upstream, "introduced 6.7, fixed 6.7" is a defect of pre-releases alone: within the rc phase.
        if order < 0 or (order == 0 and (scheme != "upstream" or "-rc" in fixed)):
            problems.append(
                f"fixed {version_range.fixed!r} is not after introduced {version_range.introduced!r}"
            )
    problems += _check_line(version_range, product)
    return problems


def _check_line(version_range: VersionRange, product: Product) -> list[str]:
    if product.id == UPSTREAM:
        if version_range.stream is not None:
            return ["upstream ranges are bound by branch, not by stream"]
        fixed = upstream.parse(version_range.fixed or "")
        if version_range.branch is None:
            if fixed is not None and fixed.is_stable:
                return [f'fixed {version_range.fixed!r} is of a stable branch: add branch: "{fixed.branch}"']
            return []
        branch = upstream.parse(version_range.branch)
        if branch is None or branch.branch != version_range.branch:
            return [f'branch {version_range.branch!r} is no stable branch such as "6.1"']
        if fixed is not None and fixed.branch != version_range.branch:
            return [f"fixed {version_range.fixed!r} does not lie in branch {version_range.branch!r}"]
        return []
    problems = []
    if version_range.branch is not None:
        problems.append(f"branch is for product {UPSTREAM} only: {product.id} has streams")
    known = ", ".join(s.id for s in product.streams) or (
        product.stream_form.pattern if product.stream_form else "none"
    )
    if version_range.stream is not None and not product.knows_stream(version_range.stream):
        problems.append(f"unknown stream {version_range.stream!r} of {product.id} (known: {known})")
    if version_range.stream is None and product.has_several_streams and not product.sequential:
        problems.append(f"{product.id} has several streams: name the stream of the range (known: {known})")
    return problems


def _spans(affected: Sequence[Affected], product_id: str) -> list[_Span]:
    return [_Span(r, a.source) for a in affected if a.product == product_id for r in a.ranges]


def _judge_vendor(spans: list[_Span], product: Product, kernel: Kernel) -> VersionJudgement:
    running, stream = product.running_version(kernel), kernel.stream

    def answer(
        status: VersionStatus, why: str, span: _Span | None = None, fixed: str | None = None
    ) -> VersionJudgement:
        source = span.source if span else None
        return VersionJudgement(status, product.id, stream, running, fixed, source, why)

    if running is None:
        missing = "package version" if product.scheme == "dpkg" else "release"
        return answer(VersionStatus.UNKNOWN, f"the {missing} of this {product.name} kernel is not known")
    lines = [s for s in spans if s.range.stream is not None and s.range.stream == stream]
    if not lines and (product.sequential or not product.has_several_streams):
        lines = [s for s in spans if s.range.stream is None]
    if not lines:
        return answer(VersionStatus.UNKNOWN, _unlisted(spans, product, stream))
    place = f"{product.name} {stream}" if stream else product.name
    ordered = [s for s in lines if _well_formed(s.range, product.scheme)]
    if not ordered:
        return answer(VersionStatus.UNKNOWN, f"the versions known for {place} cannot be compared")

    def at_or_after(bound: str) -> bool:
        bare = strip_suffixes(product.scheme, bound)
        if product.hidden_rebuild and bare.startswith(f"{running}."):
            return True  # the release lacks the last number of the package, which is 1 or more
        return compare(product.scheme, running, bare) >= 0

    inside = [s for s in ordered if s.range.introduced == ALWAYS or at_or_after(s.range.introduced)]
    hit = [s for s in inside if s.range.fixed is None or not at_or_after(s.range.fixed)]
    if hit:
        fixed = _recommended(hit[0].range, [s.range for s in ordered], product.scheme)
        tail = f"fixed in {fixed}" if fixed else "no fixed version is known for it"
        return answer(VersionStatus.AFFECTED, f"{running} of {place} is affected, {tail}", hit[0], fixed)
    if inside:
        last = inside[-1]
        why = f"{running} of {place} is at or after {last.range.fixed}, which has the fix"
        return answer(VersionStatus.FIXED, why, last, last.range.fixed)
    first = ordered[0]
    why = f"{running} of {place} is before {first.range.introduced}, which brought the defect in"
    return answer(VersionStatus.BEFORE_INTRODUCED, why, first)


def _unlisted(spans: list[_Span], product: Product, stream: str | None) -> str:
    known = ", ".join(dict.fromkeys(f"{s.range.stream}" for s in spans if s.range.stream is not None))
    if stream is None:
        return f"the stream of this {product.name} kernel is not known (versions are known for {known or 'none'})"
    return (
        f"no affected versions are known for stream {stream} of {product.name} (only for {known or 'none'})"
    )


def _well_formed(version_range: VersionRange, scheme: str) -> bool:
    bounds = [version_range.fixed, None if version_range.introduced == ALWAYS else version_range.introduced]
    return all(b is None or is_valid(scheme, strip_suffixes(scheme, b)) for b in bounds)


def _recommended(hit: VersionRange, ranges: Sequence[VersionRange], scheme: str) -> str | None:
    """Return the first version at or after the hit range's end that lies in no range; None if there is none."""
    candidate = hit.fixed
    for _ in ranges:
        if candidate is None:
            return None
        bare = strip_suffixes(scheme, candidate)
        for other in ranges:
            start = (
                other.introduced == ALWAYS
                or compare(scheme, bare, strip_suffixes(scheme, other.introduced)) >= 0
            )
            if start and (
                other.fixed is None or compare(scheme, bare, strip_suffixes(scheme, other.fixed)) < 0
            ):
                candidate = other.fixed
                break
        else:
            break
    return candidate


def _judge_upstream(
    spans: list[_Span], product: Product, kernel: Kernel, vendor: VersionJudgement | None
) -> VersionJudgement:
    own = product.id == UPSTREAM
    text = (product.running_version(kernel) if own else kernel.upstream_base) or ""
    running = upstream.parse(text)

    def answer(
        status: VersionStatus, why: str, span: _Span | None = None, fixed: str | None = None
    ) -> VersionJudgement:
        source = span.source if span else None
        return VersionJudgement(
            status, product.id, kernel.stream, text or None, fixed, source, why, by_upstream=not own
        )

    if running is None:
        if vendor is not None:
            return vendor
        what = f"{product.name}: the stable release it is built on is not known from this input"
        return answer(VersionStatus.UNKNOWN, what)
    name = text if own else f"{product.name} (upstream {text})"
    usable = [s for s in spans if _well_formed(s.range, "upstream")]
    listed = [s for s in usable if _branch(s.range) == running.branch]
    mainline = [s for s in usable if _branch(s.range) is None]
    lines = listed or mainline
    if not lines:
        known = ", ".join(dict.fromkeys(str(_branch(s.range)) for s in usable)) or "none"
        why = f"{name}: no affected versions are known for branch {running.branch} (only for {known})"
        return answer(VersionStatus.UNKNOWN, why)
    inside = [s for s in lines if _introduced(running, s.range)]
    hit = [s for s in inside if s.range.fixed is None or running < _version(s.range.fixed)]
    if hit:
        return _affected_upstream(hit[0], lines, mainline, running, product, name, answer)
    if inside:
        last = inside[-1]
        where = "" if listed else " of mainline"
        return answer(
            VersionStatus.FIXED,
            f"{name} is at or after {last.range.fixed}{where}, which has the fix",
            last,
            last.range.fixed,
        )
    why = f"{name} is before {lines[0].range.introduced}, which brought the defect in"
    return answer(VersionStatus.BEFORE_INTRODUCED, why, lines[0])


def _affected_upstream(
    hit: _Span,
    lines: list[_Span],
    mainline: list[_Span],
    running: UpstreamVersion,
    product: Product,
    name: str,
    answer: _Answer,
) -> VersionJudgement:
    fixed = _recommended(hit.range, [s.range for s in lines], "upstream")
    in_branch = fixed is not None and (_version(fixed).branch == running.branch)
    if fixed is None and mainline:
        # Not mended in this branch: the first mainline release that has the fix.
        ends = [s.range for s in mainline if s.range.fixed is not None and running < _version(s.range.fixed)]
        fixed = _recommended(ends[0], [s.range for s in mainline], "upstream") if ends else None
    if fixed is None:
        return answer(VersionStatus.AFFECTED, f"{name} is affected, no fixed version is known", hit)
    if in_branch:
        return answer(VersionStatus.AFFECTED, f"{name} is affected, fixed in {fixed}", hit, fixed)
    why = f"{name} is affected; no fix is known in branch {running.branch}, mainline has it from {fixed} on"
    # A distribution that keeps to one series does not offer mainline's release to its users.
    offered = product.id == UPSTREAM or product.rolling
    return answer(VersionStatus.AFFECTED, why, hit, fixed if offered else None)


def _branch(version_range: VersionRange) -> str | None:
    """Return the branch a range is bound to; where a rule forgot it, a point release in `fixed` tells."""
    if version_range.branch is not None:
        return version_range.branch
    bound = version_range.fixed if version_range.fixed is not None else version_range.introduced
    parsed = upstream.parse(bound)
    return parsed.branch if parsed is not None and parsed.is_stable else None


def _version(text: str) -> UpstreamVersion:
    parsed = upstream.parse(text)
    if parsed is None:  # kept out by _well_formed
        raise ValueError(f"not an upstream kernel version: {text!r}")
    return parsed


def _introduced(running: UpstreamVersion, version_range: VersionRange) -> bool:
    start = version_range.introduced
    return start == ALWAYS or running.at_or_after_introduced(_version(start))
