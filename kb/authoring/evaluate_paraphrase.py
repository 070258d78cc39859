"""Paraphrases of a known crash: the log that another machine would have written of it.

Other addresses, offsets, tasks and CPUs, another architecture's or release's wording, compiler decorations,
leftovers on the
stack, other outer frames, inlining undone or done. What stays is what the defect dictates. Seeded by the
rule's id, so that a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from kbmatch.engine.signature import Frame, Signature

_COMMS = ("java", "kworker/3:2", "postgres", "nginx", "systemd", "mount", "ip", "swapper/5")
_LEFTOVERS = (
    "__switch_to_asm",
    "ktime_get",
    "update_load_avg",
    "__update_load_avg_se",
    "_raw_spin_unlock",
    "kmem_cache_free",
)
_OUTER = (
    ("do_syscall_64", "entry_SYSCALL_64_after_hwframe"),
    ("do_syscall_x64", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"),
    ("invoke_syscall", "el0_svc_common.constprop.0", "do_el0_svc", "el0_svc", "el0t_64_sync_handler", "el0t_64_sync"),
)
_ENTRIES = frozenset(name for outer in _OUTER for name in outer) | {
    "x64_sys_call",
    "entry_SYSCALL_64",
    "el0_svc_common",
}

_ON = "CPU: {cpu} PID: {pid}"
_HEADS: dict[str, tuple[str, ...]] = {
    "null-deref": (
        "BUG: kernel NULL pointer dereference, address: {small}",
        "BUG: unable to handle kernel NULL pointer dereference at {small}",
        "Unable to handle kernel NULL pointer dereference at virtual address {small}",
    ),
    "page-fault": (
        "BUG: unable to handle page fault for address: {address}",
        "BUG: unable to handle kernel paging request at {address}",
        "Unable to handle kernel paging request at virtual address {address}",
    ),
    "gpf": ("general protection fault, probably for non-canonical address 0xdead{low}: 0000 [#1] PREEMPT SMP NOPTI",),
    "kasan": ("BUG: KASAN: slab-use-after-free in {place}", "BUG: KASAN: use-after-free in {place}"),
    "kmsan": ("BUG: KMSAN: uninit-value in {place}",),
    "kfence": ("BUG: KFENCE: use-after-free read in {place}",),
    "bug": ("kernel BUG at {file}:{line}!",),
    "warning": (
        f"WARNING: {_ON} at {{file}}:{{line}} {{place}}",
        "WARNING: {file}:{line} at {place}, CPU#{cpu}: {comm}/{pid}",
    ),
    "refcount": (
        f"refcount_t: underflow; use-after-free.\nWARNING: {_ON} at lib/refcount.c:28 refcount_warn_saturate+0xa6/0xf0",
    ),
    "list-corruption": (
        "list_del corruption, {address}->next is LIST_POISON1 (dead000000000100)\nkernel BUG at lib/list_debug.c:56!",
    ),
    "divide-error": ("divide error: 0000 [#1] PREEMPT SMP NOPTI",),
    "ubsan": ("UBSAN: shift-out-of-bounds in {file}:{line}:12",),
    "soft-lockup": ("watchdog: BUG: soft lockup - CPU#{cpu} stuck for 26s! [{comm}:{pid}]",),
    "hung-task": ("INFO: task {comm}:{pid} blocked for more than 120 seconds.",),
    "atomic-sleep": ("BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",),
    "memory-leak": (
        "BUG: memory leak\nunreferenced object {address} (size 64):\n"
        '  comm "{comm}", pid {pid}, jiffies 42949\n  backtrace:',
    ),
}
_WITH_REGISTERS = frozenset(
    ("null-deref", "page-fault", "gpf", "bug", "warning", "refcount", "list-corruption", "divide-error", "soft-lockup")
)


def can_paraphrase(event: Signature) -> bool:
    """Whether there is a way to write such a crash down; the others are too rare to have one."""
    return event.kind in _HEADS and bool(event.trace)


def paraphrase(event: Signature, release: str, seed: str) -> str:
    """The log of the same crash elsewhere."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    arm = chance.random() < 0.3
    top = event.symbol or (event.trace[0].symbol if event.trace else "unknown")
    place = _place(top, event.module, chance)
    names: dict[str, object] = {
        "small": f"{chance.choice((8, 0x18, 0x28, 0x50)):016x}",
        "address": f"ffff{chance.getrandbits(48):012x}",
        "low": f"{chance.getrandbits(48):012x}",
        "place": place,
        "file": (event.source_line or "kernel/none.c:1").rpartition(":")[0] or "kernel/none.c",
        "line": chance.randrange(20, 4000),
        "cpu": chance.randrange(64),
        "pid": chance.randrange(200, 99999),
        "comm": chance.choice(_COMMS),
    }
    heads = chance.choice(_HEADS[event.kind]).format(**names).split("\n")
    if event.kind == "memory-leak":
        lines = [*heads, *(f"    {_place(f.symbol, f.module, chance)}" for f in _frames(event, chance, arm))]
    else:
        lines = [*heads, f"CPU: {names['cpu']} PID: {names['pid']} Comm: {names['comm']} Not tainted {release} #1"]
        if event.kind in _WITH_REGISTERS:
            lines.append(f"pc : {place}" if arm else f"RIP: 0010:{place}")
        if event.kind == "hung-task":
            lines.append(f"task:{names['comm']} state:D stack:    0 pid:{names['pid']} ppid:     2 flags:0x00004000")
        lines.append("Call trace:" if arm else "Call Trace:")
        lines += [f" {text}" for text in _trace(event, chance, arm)]
    time = chance.uniform(50, 900000)
    return "".join(f"[{time + i / 1000:12.6f}] {line}\n" for i, line in enumerate(lines))


def _frames(event: Signature, chance: random.Random, arm: bool) -> Sequence[Frame]:
    """The frames that the other machine shows: outer ones its own, and some inner ones lost by the unwinder."""
    frames = [f for f in event.trace if f.reliable and not f.printed.rstrip().endswith("[inline]")] or list(event.trace)
    kept = [frame for frame in frames if frame.symbol not in _ENTRIES]
    if len(kept) > 8 and chance.random() < 0.3:
        del kept[chance.randrange(6, len(kept)) :]
    if len(kept) < len(frames):
        kept += [Frame(name, name) for name in (_OUTER[2] if arm else _OUTER[chance.randrange(2)])]
    return kept


def _trace(event: Signature, chance: random.Random, arm: bool) -> list[str]:
    lines: list[str] = []
    for frame in _frames(event, chance, arm):
        if chance.random() < 0.15 and not arm:
            lines.append(f"? {_place(chance.choice(_LEFTOVERS), '', chance)}")
        lines.append(_place(frame.symbol, frame.module, chance))
    return lines


_DECORATE: tuple[Callable[[str], str], ...] = (
    lambda name: f"{name}.isra.0",
    lambda name: f"{name}.constprop.0",
    lambda name: f"{name}.cold",
)


def _place(symbol: str, module: str | None, chance: random.Random) -> str:
    size = chance.randrange(0x40, 0x1800) & ~0xF
    shown = chance.choice(_DECORATE)(symbol) if chance.random() < 0.06 else symbol
    return f"{shown}+0x{chance.randrange(1, size):x}/0x{size:x}" + (f" [{module}]" if module else "")
