"""The kernel that a report tells beside a crash which does not say on which one it happened.

Trimmed logs lack the "CPU: ... Not tainted 6.1.0 #1" line; the ticket around them has a field for it, `uname -a`, or
the boot loader's command line. Where two of them name different kernels, none is taken: one may be that on which all is
well. Prose is not read for the same reason.

The last source is the path of a source file: vendors build in a folder that bears the whole release (RHEL, Fedora:
"linux-3.10.0-957.el7.x86_64/fs/...") or only the version that they started from (Debian, Qubes: "linux-4.9.30/fs/...";
Ubuntu "linux-4.4.0/", SUSE "linux-4.12/" for years of updates). The latter is no release: it would be judged like the
upstream kernel of that number, without what the vendor added. It is told in a note and goes no further.

Sources: kernel's Documentation/admin-guide/bug-hunting.rst (what to report), reportbug ("Kernel: Linux ..."), apport
("Uname:", "ProcVersionSignature:"), bugzilla.kernel.org ("Kernel Version:"), GRUB ("BOOT_IMAGE=").
"""

from __future__ import annotations

from kbmatch.collectors.logs.header import arch_of_name
from kbmatch.collectors.logs.reading import LogReading
from kbmatch.engine.incident import Note
from kbmatch.engine.patterns import lazy
from kbmatch.engine.values import replace

MOST = 1 << 20
"""Bytes that are searched: a ticket, not an archive."""
_RELEASE = rb"(?P<release>[2-9]\.[0-9]{1,2}(?:\.[0-9]{1,3})?(?:[.+~_-][A-Za-z0-9.+~_-]{0,80})?)"
_MARKS = rb"^[ \t>*_#|+`-]{0,12}"
_TOLD = (
    lazy(rb"(?m)BOOT_IMAGE=[^\s]{0,80}?vmlinu[xz]-" + _RELEASE),
    lazy(rb"(?m)" + _MARKS + rb"Linux [\w.-]{1,64} " + _RELEASE + rb" (?P<version>#[0-9][^\n]{0,120})"),
    lazy(rb"(?m)" + _MARKS + rb"Uname: Linux " + _RELEASE),
    lazy(
        rb"(?mi)" + _MARKS + rb"(?:(?:linux|running|affected|tested|host|guest|current) )?kernel"
        rb"(?:[ -](?:version|release))?"
        rb"[ \t*_`]{0,6}[:=|][ \t*_`|]{0,6}(?:linux[ -]|kernel-|v(?=[0-9]))?" + _RELEASE
        + rb"(?=[\s*_`,;)(|]|$)"
    ),
    lazy(rb"(?m)uname -r[ \t`*:=|]{0,8}\r?\n?[ \t>`]{0,8}" + _RELEASE + rb"(?=[\s`]|$)"),
)  # fmt: skip
"""In this order; the first that is found is taken."""
_TREE = rb"/(?:arch|block|certs|crypto|drivers|fs|init|io_uring|ipc|kernel|lib|mm|net|security|sound|virt|include)/"
_BUILT_AS = lazy(
    rb"/linux-(?P<release>[2-9]\.[0-9]{1,2}\.[0-9]{1,3}-[A-Za-z0-9.+~_-]{1,80}"
    rb"\.(?:x86_64|aarch64|ppc64le|ppc64|s390x|i686|armv7hl))" + _TREE
)
_BUILT_OF = lazy(rb"/linux-(?P<release>[2-9]\.[0-9]{1,2}(?:\.[0-9]{1,3})?)" + _TREE)


def with_told_kernel(reading: LogReading, data: bytes) -> LogReading:
    """The reading; where its crash names no kernel, with the one that the text around it names, and a note."""
    if reading.kernel.release is not None or not reading.events:
        return reading
    text = data[:MOST]
    for pattern in (*_TOLD, _BUILT_AS):
        found = {match["release"].rstrip(b".~_-"): match for match in pattern.finditer(text)}
        if len(found) > 1:
            break
        for name, match in found.items():
            release = name.decode("ascii")
            version = match.groupdict().get("version")
            line = text.count(b"\n", 0, match.start("release")) + 1
            kernel = replace(
                reading.kernel,
                release=release,
                version=version.decode("utf-8", "replace").strip() if version else None,
                arch=reading.kernel.arch or arch_of_name(release),
            )
            note = Note("info", f"the crash does not say which kernel ran; line {line} names {release}")
            return replace(reading, kernel=kernel, notes=(*reading.notes, note))
    bases = {match["release"]: match for match in _BUILT_OF.finditer(text)}
    if len(bases) != 1:
        return reading
    ((base, match),) = bases.items()
    line = text.count(b"\n", 0, match.start("release")) + 1
    told = (
        f"line {line}: built of the sources of {base.decode('ascii')}, to which a vendor adds; the release is not told"
    )
    return replace(reading, notes=(*reading.notes, Note("info", told)))
