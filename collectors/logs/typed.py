"""What people type from a screen: the kernel's words in other letters and with other blanks.

Sources: kernel/panic.c (panic), init/do_mounts.c (mount_block_root), init/main.c (kernel_init), kernel/exit.c
(do_exit), mm/oom_kill.c (out_of_memory), arch/x86/kernel/dumpstack.c (oops_end); the wording is that of 3.10 to 6.6.
"""

from __future__ import annotations

LEAD = "Kernel panic - not syncing: "
_REASONS = (
    "VFS: Unable to mount root fs",
    "Attempted to kill init!",
    "Attempted to kill the idle task!",
    "No working init found.",
    "Fatal exception in interrupt",
    "Fatal exception",
    "Out of memory and no killable processes",
    "System is deadlocked on memory",
    "Fatal machine check",
)


def reason_of(groups: dict[str, str]) -> str:
    """The reason of a panic line, by its named groups, in the kernel's own letters where they are known."""
    reason = groups.get("reason") or groups.get("reason2") or ""
    for known in _REASONS:
        if reason[: len(known)].casefold() == known.casefold():
            return known + reason[len(known) :]
    return reason


def as_printed(text: str, groups: dict[str, str]) -> str:
    """A panic line as the kernel would have printed it."""
    return text if groups.get("reason2") else (LEAD + reason_of(groups)).rstrip()
