"""The kinds of crash events: a closed list (DESIGN.md, "Words")."""

from __future__ import annotations

KINDS: tuple[str, ...] = (
    "null-deref",
    "page-fault",
    "gpf",
    "double-fault",
    "stack-overflow",
    "divide-error",
    "invalid-opcode",
    "bug",
    "warning",
    "panic",
    "sysrq",
    "kasan",
    "kmsan",
    "kcsan",
    "kfence",
    "ubsan",
    "refcount",
    "list-corruption",
    "bad-page",
    "usercopy",
    "stack-segment",
    "alignment",
    "soft-lockup",
    "hard-lockup",
    "hung-task",
    "rcu-stall",
    "workqueue-stall",
    "lockdep",
    "atomic-sleep",
    "memory-leak",
    "oom",
    "mce",
    "other",
)

NULL_DEREF_LIMIT = 0x10000
"""A faulting address below this counts as a dereference of NULL, whatever the kernel's wording: no kernel
maps the first 64 KiB (vm.mmap_min_addr), and a member's offset is the usual reason for such an address."""

CONTEXTS: tuple[str, ...] = ("softirq", "irq", "nmi", "task", "unknown")
ACCESSES: tuple[str, ...] = ("read", "write", "exec")
LEVELS: tuple[str, ...] = ("info", "warning", "error")
