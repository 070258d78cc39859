"""Drivers that report errors themselves: a function of theirs prints the stack, its caller is where it happened."""

from __future__ import annotations

from kbmatch.engine.patterns import lazy
from kbmatch.engine.signature import Frame

_REPORTERS = lazy(
    r"xfs_(?:error_report|corruption_error|buf_corruption_error|stack_trace|inode_verifier_error|buf_verifier_error)"
    r"|spl_(?:panic|dumpstack|debug_bug|debug_dumpstack)|v?cmn_err|zfs_panic_recover|lbug_with_loc"
    r"|libcfs_(?:call_trace|debug_dumpstack)"
)
_DUMPERS = lazy(r"(?:__)?dump_stack(?:_lvl)?|show_(?:stack|trace)\w*")


def reporting_place(frames: list[Frame]) -> str | None:
    """The frame that called a driver's own reporter of errors, which no register shows; None without such a reporter.

    Sources: fs/xfs/xfs_error.c (2.6.32 to 6.6), OpenZFS module/os/linux/spl/spl-err.c (2.1), Lustre's libcfs (2.12).
    """
    pool = [frame for frame in frames if frame.reliable] or frames
    found = False
    for frame in pool[:12]:
        if _REPORTERS.fullmatch(frame.symbol):
            found = True
        elif found:
            return frame.printed
        elif not _DUMPERS.fullmatch(frame.symbol):
            return None
    return None
