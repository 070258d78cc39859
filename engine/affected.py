"""Affected versions: does the running kernel have the defect, and which version of its line mends it.

Semantics: DESIGN.md, "Rules". Ranges are half-open, [introduced, fixed). A vendor's own ranges win over
upstream's; upstream's hold for upstream kernels and for products that track linux-stable, by their upstream
base, never for others. Versions of a line that no range names are unknown.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from kbmatch.engine.incident import Kernel
from kbmatch.engine.patterns import lazy
from kbmatch.engine.products import UPSTREAM, Product, Products
from kbmatch.engine.values import dataclass
from kbmatch.engine.version_range import (
    ALWAYS,
    UNSURE,
    Affected,
    VersionRange,
    check_range,
    oldest,
    recommended_fix,
    well_formed,
)
from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import compare, strip_suffixes
from kbmatch.engine.versions.upstream import UpstreamVersion

__all__ = ["Affected", "VersionJudgement", "VersionRange", "VersionStatus", "check_range", "judge"]


class VersionStatus(enum.Enum):
    """What the version says about the defect (V in DESIGN.md's table of verdicts)."""

    AFFECTED = "affected"
    FIXED = "fixed"
    BEFORE_INTRODUCED = "before-introduced"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VersionJudgement:
    """What `judge` found.

    `product` and `stream` are those of the kernel; `running` is the version that was compared. `fixed` is the
    version to recommend in this product and stream, None if none is known; with status FIXED the version that
    mended it. `by_upstream`: `running` and `fixed` are upstream numbers, not those of the product's packages.
    `why` is one sentence.
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
        return VersionJudgement(VersionStatus.UNKNOWN, kernel.product, kernel.stream, running, None, None, why)
    if product is None:
        why = f"{kernel.release} is of no vendor in the product table; the number alone does not tell what it holds"
        if kernel.release is None:
            why = "the input does not say which kernel ran"
        return VersionJudgement(VersionStatus.UNKNOWN, kernel.product, kernel.stream, kernel.release, None, None, why)
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
        why, later = _unlisted(spans, product, stream), _later_fix(spans, product, running)
        if later is not None:
            why += f"; fixed at the latest in {later}"
        return answer(VersionStatus.UNKNOWN, why, fixed=later)
    place = f"{product.name} {stream}" if stream else product.name
    ordered = [s for s in lines if well_formed(s.range, product.scheme)]
    if not ordered:
        return answer(VersionStatus.UNKNOWN, f"the versions known for {place} cannot be compared")

    def at_or_after(bound: str) -> bool:
        bare = strip_suffixes(product.scheme, bound)
        if product.hidden_rebuild and bare.startswith(f"{running}."):
            return True  # the release lacks the last number of the package, which is 1 or more
        return compare(product.scheme, running, bare) >= 0

    unsure = [s for s in ordered if s.range.introduced == UNSURE]
    before = [s for s in unsure if s.range.fixed is not None and not at_or_after(s.range.fixed)]
    ordered = [s for s in ordered if s not in before]
    inside = [s for s in ordered if s.range.introduced in (ALWAYS, UNSURE) or at_or_after(s.range.introduced)]
    hit = [s for s in inside if s.range.fixed is None or not at_or_after(s.range.fixed)]
    if hit:
        fixed = recommended_fix(hit[0].range, [s.range for s in ordered], product.scheme)
        tail = f"fixed in {fixed}" if fixed else "no fixed version is known for it"
        return answer(VersionStatus.AFFECTED, f"{running} of {place} is affected, {tail}", hit[0], fixed)
    if inside:
        last = _newest_fix(inside, product.scheme)
        why = f"{running} of {place} is at or after {last.range.fixed}, which has the fix"
        return answer(VersionStatus.FIXED, why, last, last.range.fixed)
    if before:
        fixed = oldest([s.range.fixed for s in before if s.range.fixed is not None], product.scheme)
        why = f"it is not known whether {running} of {place} has the defect; fixed at the latest in {fixed}"
        return answer(VersionStatus.UNKNOWN, why, before[0], fixed)
    first = ordered[0]
    why = f"{running} of {place} is before {first.range.introduced}, which brought the defect in"
    return answer(VersionStatus.BEFORE_INTRODUCED, why, first)


def _later_fix(spans: list[_Span], product: Product, running: str) -> str | None:
    """Return the first fix of a later stream where streams follow each other, for a reader to weigh."""
    if not product.sequential:
        return None
    fixes = [s.range.fixed for s in spans if s.range.fixed is not None and well_formed(s.range, product.scheme)]
    later = [f for f in fixes if compare(product.scheme, running, strip_suffixes(product.scheme, f)) < 0]
    return oldest(later, product.scheme)


def _newest_fix(spans: list[_Span], scheme: str) -> _Span:
    newest = spans[0]
    for span in spans[1:]:
        a, b = span.range.fixed, newest.range.fixed
        if a is not None and (b is None or oldest((a, b), scheme) == b):
            newest = span
    return newest


def _unlisted(spans: list[_Span], product: Product, stream: str | None) -> str:
    known = ", ".join(dict.fromkeys(f"{s.range.stream}" for s in spans if s.range.stream is not None))
    if stream is None:
        return f"the stream of this {product.name} kernel is not known (versions known: {known or 'none'})"
    return f"no affected versions are known for {product.name} {stream} (only for {known or 'none'})"


def _judge_upstream(
    spans: list[_Span], product: Product, kernel: Kernel, vendor: VersionJudgement | None
) -> VersionJudgement:
    own = product.id == UPSTREAM
    text = (product.running_version(kernel) if own else kernel.upstream_base) or ""
    running = upstream.parse(text)
    usable = [s for s in spans if well_formed(s.range, "upstream")]
    if running is not None:
        return _judge_release(usable, product, kernel, text, running)
    branch = _branch_alone(kernel.release or "")
    whole = None if branch is None else _judge_branch(usable, product, kernel, branch)
    if whole is not None and (vendor is None or whole.status is not VersionStatus.UNKNOWN):
        return whole
    if vendor is not None:
        return vendor
    why = f"{product.name}: the stable release it is built on is not known from this input"
    return VersionJudgement(
        VersionStatus.UNKNOWN, product.id, kernel.stream, None, None, None, why, by_upstream=not own
    )  # fmt: skip


_PLACEHOLDER = lazy(r"([3-9]\.[0-9]{1,2})\.0-[0-9]")


def _branch_alone(release: str) -> str | None:
    """Return the branch of a release whose third number is a placeholder: "6.1" of "6.1.0-18-amd64"."""
    match = _PLACEHOLDER.match(release[:128])
    return match[1] if match else None


def _judge_branch(usable: list[_Span], product: Product, kernel: Kernel, branch: str) -> VersionJudgement | None:
    """Return the judgement that holds for every stable release of a branch, None where they differ."""
    ends = (_version(branch), _version(f"{branch}.{_LAST_PATCH}"))
    one, other = (_judge_release(usable, product, kernel, f"{branch}.y", end) for end in ends)
    return one if one.status is other.status else None


_LAST_PATCH = 99999


def _judge_release(
    usable: list[_Span], product: Product, kernel: Kernel, text: str, running: UpstreamVersion
) -> VersionJudgement:
    own = product.id == UPSTREAM

    def answer(
        status: VersionStatus, why: str, span: _Span | None = None, fixed: str | None = None
    ) -> VersionJudgement:
        source = span.source if span else None
        return VersionJudgement(status, product.id, kernel.stream, text, fixed, source, why, by_upstream=not own)

    name = text if own else f"{product.name} (upstream {text})"
    listed = [s for s in usable if _branch(s.range) == running.branch]
    mainline = [s for s in usable if _branch(s.range) is None]
    # With commits on top of x.y it is on its way to x.y+1, not a stable kernel of branch x.y.
    lines = (mainline or listed) if running.is_merge_window else (listed or mainline)
    if not lines:
        known = ", ".join(dict.fromkeys(str(_branch(s.range)) for s in usable)) or "none"
        why = f"{name}: no affected versions are known for branch {running.branch} (only for {known})"
        return answer(VersionStatus.UNKNOWN, why)
    before = [s for s in lines if s.range.introduced == UNSURE and _ends_after(running, s.range)]
    lines = [s for s in lines if s not in before]
    inside = [s for s in lines if _introduced(running, s.range)]
    hit = [s for s in inside if _ends_after(running, s.range)]
    if hit:
        return _affected_upstream(hit[0], lines, mainline, running, product, name, answer)
    if inside:
        last = _newest_fix(inside, "upstream")
        where = " of mainline" if _branch(last.range) is None else ""
        why = f"{name} is at or after {last.range.fixed}{where}, which has the fix"
        return answer(VersionStatus.FIXED, why, last, last.range.fixed)
    if before:
        fixed = oldest([s.range.fixed for s in before if s.range.fixed is not None], "upstream")
        end = f"fixed at the latest in {fixed}" if fixed else "nor where it is fixed"
        return answer(VersionStatus.UNKNOWN, f"it is not known whether {name} has the defect; {end}", before[0], fixed)
    why = f"{name} is before {lines[0].range.introduced}, which brought the defect in"
    if product.backports:
        return answer(VersionStatus.UNKNOWN, f"{why}, unless it was taken over into this build", lines[0])
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
    fixed = recommended_fix(hit.range, [s.range for s in lines], "upstream")
    in_branch = fixed is not None and (_version(fixed).branch == running.branch)
    if fixed is None and mainline:
        # Not mended in this branch: the first mainline release that has the fix.
        ends = [s.range for s in mainline if s.range.fixed is not None and running < _version(s.range.fixed)]
        fixed = recommended_fix(ends[0], [s.range for s in mainline], "upstream") if ends else None
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
    if parsed is None:  # kept out by well_formed
        raise ValueError(f"not an upstream kernel version: {text!r}")
    return parsed


def _ends_after(running: UpstreamVersion, version_range: VersionRange) -> bool:
    return version_range.fixed is None or running < _version(version_range.fixed)


def _introduced(running: UpstreamVersion, version_range: VersionRange) -> bool:
    start = version_range.introduced
    return start in (ALWAYS, UNSURE) or running.at_or_after_introduced(_version(start))
