"""One face for the three orders of versions: "rpm", "dpkg" and "upstream"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kbmatch.engine.patterns import lazy
from kbmatch.engine.versions import dpkg, rpm, upstream

_T = TypeVar("_T")

SCHEMES: tuple[str, ...] = ("rpm", "dpkg", "upstream")

_COMPARE: dict[str, Callable[[str, str], int]] = {
    "rpm": rpm.compare,
    "dpkg": dpkg.compare,
    "upstream": upstream.compare,
}
_VALID: dict[str, Callable[[str], bool]] = {
    "rpm": rpm.is_valid,
    "dpkg": dpkg.is_valid,
    "upstream": upstream.is_valid,
}

_ARCH = r"(?:x86_64|i[3-6]86|aarch64|armv7hl|armv7l|ppc64le|ppc64|s390x|s390|riscv64|loongarch64|noarch|src)"
_RPM_TAIL = lazy(
    rf"(?:\.{_ARCH})?"
    r"(?:[+.](?:debug|64k-debug|64k|rt|rt-debug|PAE|xen|kdump|4k|zfcpdump))?\Z"
)
_RPM_DIST = lazy(
    r"\.(?:el[0-9]{1,2}(?:_[0-9]{1,2})?(?:uek)?(?:\.(?:centos(?:\.plus)?|elrepo|rocky|alma))?(?:\.[0-9]{1,3}){0,3}"
    r"|fc[0-9]{1,3}|amzn[0-9]{1,4})\Z"
)
_SUSE_FLAVOUR = lazy(r"-(?:default|preempt|azure|rt|rt_debug|debug|kvmsmall|64kb|vanilla|xen|pae|desktop|trace)\Z")
_UBUNTU_BACKPORT = lazy(r"~[12][0-9]\.(?:04|10)(?:\.[0-9]{1,2})?\Z")
_DEB_FLAVOUR = lazy(
    r"-(?:(?:rt|cloud|grsec)-)?(?:amd64|arm64(?:-16k)?|i386|686(?:-pae)?|armmp(?:-lpae)?|armhf|powerpc64le|ppc64el"
    r"|s390x|riscv64|loong64|generic(?:-64k|-lpae)?|lowlatency(?:-64k)?|virtual|server|aws|azure|gcp|gke|gkeop|kvm"
    r"|oracle|oem|raspi2?|ibm|nvidia|realtime|intel-iotg|fips)(?:-dbg|-unsigned)?\Z"
)


def is_valid(scheme: str, text: str) -> bool:
    """Whether `text` is a version of the scheme. Raises ValueError for an unknown scheme."""
    return _for(_VALID, scheme)(text)


def compare(scheme: str, a: str, b: str) -> int:
    """Compare two versions of a scheme: -1 if a is older than b, 0 if they are equal, 1 if a is newer.

    Both are compared as they stand: see `strip_suffixes`. Raises ValueError for an unknown scheme and for a
    text that is no version of it (ask `is_valid` first).
    """
    compare_versions = _for(_COMPARE, scheme)
    for text in (a, b):
        if not is_valid(scheme, text):
            raise ValueError(f"not a version of scheme {scheme}: {text!r}")
    return compare_versions(a, b)


def strip_suffixes(scheme: str, text: str) -> str:
    """Return `text` without what names a build rather than a version.

    rpm: architecture, variant, dist tag (.x86_64, +debug, .el7uek, .el8_8, .fc41, .amzn2, -default): rules
    and advisories give versions with and without them. dpkg: the flavour (-generic, -amd64, -cloud-amd64) and
    Ubuntu's mark of a newer kernel built for an older release (~20.04.1). upstream: nothing, there a suffix
    tells.
    """
    if scheme == "rpm":
        text = _SUSE_FLAVOUR.sub("", text)
        text = _RPM_TAIL.sub("", _RPM_TAIL.sub("", text))
        return _RPM_DIST.sub("", text)
    if scheme == "dpkg":
        return _UBUNTU_BACKPORT.sub("", _DEB_FLAVOUR.sub("", text))
    _for(_VALID, scheme)
    return text


def _for(table: dict[str, _T], scheme: str) -> _T:
    try:
        return table[scheme]
    except KeyError:
        raise ValueError(f"unknown version scheme {scheme!r}: one of {', '.join(SCHEMES)}") from None
