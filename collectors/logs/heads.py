# ruff: noqa: E501 - one pattern a row reads best
"""The first lines of crash reports: what the kernel prints for each kind, as a table.

Sources (kernel 2.6.32 to 6.x): arch/x86/mm/fault.c, arch/x86/kernel/{traps,dumpstack}.c, arch/arm/mm/fault.c,
arch/arm64/mm/fault.c, arch/arm64/kernel/traps.c, arch/powerpc/mm/fault.c, arch/powerpc/kernel/traps.c,
arch/s390/mm/fault.c, arch/riscv/mm/fault.c, kernel/panic.c, lib/bug.c, mm/kasan/report.c, mm/kmsan/report.c,
mm/kfence/report.c, kernel/kcsan/report.c, lib/ubsan.c, lib/refcount.c, lib/list_debug.c, mm/usercopy.c, mm/slub.c,
mm/page_alloc.c, mm/oom_kill.c, mm/kmemleak.c, kernel/watchdog.c, kernel/watchdog_hld.c, kernel/hung_task.c,
kernel/rcu/tree_stall.h, kernel/workqueue.c, kernel/locking/lockdep.c, kernel/sched/core.c, drivers/tty/sysrq.c,
arch/x86/kernel/cpu/mce/core.c, drivers/firmware/efi/cper.c.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Head(NamedTuple):
    """One kind of first line.

    `role`: "lead" is followed by a die line or a WARNING of the same crash; "die" is the `[#1]` line; "warn" a WARNING;
    "report" stands alone; "more" only adds to an open report of its kind; "panic" ends the kernel.
    `rank`: the strongest head of a report names its kind.
    """

    kind: str
    role: str
    rank: int
    pattern: re.Pattern[str]


_HEX = r"(?:0x)?[0-9a-fA-F]{1,16}"
_TAGS = r"(?:(?:NMI )?watchdog: |rcu: |mm/\S+: |mce: |sched: |workqueue: )*"
_FUNC = r"(?P<printed>[^\s\[\]()]\S*(?: \([^()\n]{1,200}\))?(?: \[[\w.-]+[^\]\n]{0,60}\])?)"

_TABLE: tuple[tuple[str, str, int, str], ...] = (
    # sanitizers
    ("kasan", "report", 9, rf"BUG: KASAN: (?P<what>[\w -]+?) in {_FUNC}(?: at addr (?P<address>{_HEX}))?"),
    ("kasan", "report", 9, rf"BUG: KASAN: (?P<what>[\w -]+?)(?: on address (?P<address>{_HEX})|$)"),
    ("kmsan", "report", 9, rf"BUG: KMSAN: (?P<what>[\w -]+?) in {_FUNC}"),
    ("kcsan", "report", 9, rf"BUG: KCSAN: (?P<what>[\w: -]+?) in {_FUNC}"),
    ("kcsan", "report", 9, r"BUG: KCSAN: "),
    ("kfence", "report", 9, rf"BUG: KFENCE: (?P<what>[\w -]+?) in {_FUNC}"),
    ("kfence", "report", 9, r"BUG: KFENCE: "),
    ("kmsan", "report", 9, r"BUG: KMSAN: "),
    ("ubsan", "report", 8, r"UBSAN: (?P<what>[\w -]+?) in (?P<file>\S+?:\d+)(?::\d+)?"),
    # page faults and their like, by architecture
    (
        "null-deref",
        "lead",
        7,
        rf"BUG: (?:unable to handle )?kernel NULL pointer dereference(?:,? at|, address:) +(?P<address>{_HEX}|\(null\))",
    ),
    ("null-deref", "lead", 7, r"BUG: (?:unable to handle )?kernel NULL pointer dereference"),
    (
        "page-fault",
        "lead",
        7,
        rf"BUG: unable to handle (?:kernel )?(?:paging request|page fault)(?: at| for address:)? ?(?P<address>{_HEX})?",
    ),
    (
        "null-deref",
        "lead",
        7,
        rf"BUG: Kernel NULL pointer dereference(?: on (?P<access>read|write|exec\w*))?(?: at (?P<address>{_HEX}))?",
    ),
    (
        "page-fault",
        "lead",
        7,
        rf"BUG: Unable to handle kernel [\w ]*?(?: on (?P<access>read|write))?(?: at (?P<address>{_HEX}))?$",
    ),
    (
        "null-deref",
        "lead",
        7,
        rf"Unable to handle kernel NULL pointer dereference(?: at virtual address (?P<address>{_HEX}))?",
    ),
    (
        "page-fault",
        "lead",
        7,
        rf"Unable to handle kernel paging request(?: for (?P<access>instruction fetch|data))?(?: at (?:virtual )?address (?P<address>{_HEX}))?",
    ),
    (
        "page-fault",
        "lead",
        7,
        rf"Unable to handle kernel (?P<access>read|write|execute)\b[\w -]*?(?: at virtual address (?P<address>{_HEX}))?$",
    ),
    (
        "page-fault",
        "lead",
        7,
        rf"Unable to handle (?:kernel )?(?:access to user memory|pointer dereference|fault)\b.*?(?: at virtual address (?P<address>{_HEX}))?$",
    ),
    ("page-fault", "lead", 6, rf"Unhandled (?:fault|prefetch abort): .*?(?: at (?P<address>{_HEX}))?$"),
    ("page-fault", "lead", 6, rf"Faulting instruction address: {_HEX}$"),
    ("page-fault", "lead", 5, r"Kernel attempted to \w+ user page"),
    ("page-fault", "lead", 5, r"kernel tried to execute "),
    ("stack-overflow", "lead", 8, rf"BUG: (?:TASK |IRQ |NMI |#DF )?stack guard page was hit at {_HEX}"),
    ("stack-overflow", "lead", 8, r"Insufficient stack space to handle exception"),
    ("stack-overflow", "lead", 8, r"(?:kernel )?stack overflow \((?:double-fault|page fault)\)"),
    ("stack-overflow", "lead", 8, r"Kernel stack overflow in process "),
    ("double-fault", "lead", 8, r"(?:traps: )?PANIC: double fault"),
    (
        "list-corruption",
        "lead",
        8,
        r"list_(?:add|del)(?:_rcu)?(?: |_)(?:corruption|double add)|prev->next should be|next->prev should be",
    ),
    ("usercopy", "lead", 8, r"usercopy: [Kk]ernel memory (?:exposure|overwrite) attempt"),
    ("usercopy", "lead", 8, r"(?:usercopy: )?Bad or missing usercopy whitelist\?"),
    ("refcount", "lead", 8, r"refcount_t: [\w /-]+"),
    (
        "other",
        "lead",
        1,
        r"detected buffer overflow in |\w+: detected buffer overflow|\w+: detected field-spanning ",
    ),
    ("bug", "lead", 6, r"(?:kernel BUG at|Kernel BUG at) (?P<file>\S+?:\d+)!?"),
    ("bug", "lead", 6, rf"kernel BUG in .* at (?P<file>\S+:\d+)!?|Kernel BUG at {_HEX}"),
    ("gpf", "lead", 2, r"kasan: GPF could be caused by "),
    # die lines: "<text>: <error code> [#N]"
    (
        "stack-overflow",
        "die",
        8,
        r"(?:Oops: )?(?:stack guard page|kernel stack overflow.*?): (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]",
    ),
    (
        "gpf",
        "die",
        7,
        rf"(?:Oops: )?general protection fault(?:, (?:probably|maybe) for (?:non-canonical )?address (?P<address>{_HEX}))?.*?: (?P<code>[0-9a-f]{{1,8}}) \[#(?P<nth>\d+)\]",
    ),
    ("divide-error", "die", 7, r"(?:Oops: )?divide error: (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]"),
    (
        "stack-segment",
        "die",
        7,
        r"(?:Oops: )?stack segment(?: fault)?.*?: (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]",
    ),
    ("alignment", "die", 7, r"(?:Oops: )?alignment check.*?: (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]"),
    ("double-fault", "die", 7, r"(?:Oops: )?double fault: (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]"),
    ("invalid-opcode", "die", 5, r"(?:Oops: )?invalid opcode: (?P<code>[0-9a-f]{1,8}) \[#(?P<nth>\d+)\]"),
    ("bug", "die", 5, r"(?:Internal error: )?Oops - BUG: (?P<code>\S+) \[#(?P<nth>\d+)\]"),
    (
        "bug",
        "die",
        5,
        r"(?:Oops: Exception in kernel mode, sig: 5|kernel BUG|Kernel BUG)(?: \[#(?P<nth>\d+)\]|$)",
    ),
    (
        "invalid-opcode",
        "die",
        5,
        r"(?:Internal error: Oops - (?:undefined instruction|Undefined instruction)|Oops - illegal instruction|illegal operation).*?\[#(?P<nth>\d+)\]",
    ),
    ("stack-overflow", "die", 8, r"(?:Internal error: )?kernel stack overflow.*?\[#(?P<nth>\d+)\]"),
    ("alignment", "die", 5, r"Internal error: (?:Oops - )?[Aa]lignment.*?\[#(?P<nth>\d+)\]"),
    ("page-fault", "die", 4, r"(?:Internal error: )?(?:Oops: )+(?P<code>[0-9a-f]{1,16})\b.*?\[#(?P<nth>\d+)\]"),
    ("page-fault", "die", 4, r"Oops: Kernel access of bad area.*?\[#(?P<nth>\d+)\]"),
    ("other", "die", 3, r"Internal error: (?P<what>.*?): (?P<code>[0-9a-f]{1,16})\b.*?\[#(?P<nth>\d+)\]"),
    (
        "other",
        "die",
        3,
        r"(?P<what>[\w() ,:/-]{3,100}?)(?::? (?P<code>[0-9a-f]{1,16}))?(?: ilc:\d)? \[#(?P<nth>\d+)\]",
    ),
    ("gpf", "lead", 6, r"(?:Oops: )?general protection fault(?:: |, |$)(?!.*\bip:)"),
    ("divide-error", "lead", 6, r"divide error: "),
    # lockups and stalls
    (
        "soft-lockup",
        "report",
        8,
        rf"{_TAGS}BUG: soft lockup(?: detected)?(?: -| on) CPU#?(?P<cpu>\d+)(?: stuck for (?P<seconds>\d+)s!?)?(?: \[(?P<comm>.{{0,40}}):(?P<pid>\d+)\])?",
    ),
    ("hard-lockup", "report", 8, rf"{_TAGS}(?:Watchdog detected )?hard LOCKUP on cpu (?P<cpu>\d+)"),
    (
        "hard-lockup",
        "report",
        8,
        rf"{_TAGS}CPU (?P<cpu>\d+) (?:self-detected hard LOCKUP|Hard LOCKUP)|Watchdog CPU:(?P<cpu2>\d+) (?:Hard LOCKUP|became unstuck)",
    ),
    ("hard-lockup", "report", 8, rf"{_TAGS}BUG: NMI Watchdog detected LOCKUP"),
    ("rcu-stall", "report", 8, rf"{_TAGS}INFO: [\w/-]+ (?:self-)?detected (?:expedited )?stalls?"),
    ("rcu-stall", "report", 8, rf"{_TAGS}INFO: rcu_tasks detected stalls on tasks"),
    (
        "hung-task",
        "report",
        8,
        rf"{_TAGS}INFO: task (?P<comm>.{{0,64}}?):(?P<pid>\d+) (?:<\S+> )?blocked(?: in I/O wait| on \w[\w ]*)? for (?:more than )?(?P<seconds>\d+) seconds",
    ),
    (
        "hung-task",
        "report",
        8,
        rf"{_TAGS}INFO: task (?P<comm>.{{0,64}}?):(?P<pid>\d+) can't die for more than (?P<seconds>\d+) seconds",
    ),
    ("workqueue-stall", "report", 8, rf"{_TAGS}BUG: workqueue lockup - pool"),
    (
        "lockdep",
        "report",
        6,
        r"BUG: (?:spinlock|rwlock)(?:-\w+)? (?:lockup|bad magic|wrong|already|trylock|cpu|recursion|\w+).*? on CPU#(?P<cpu>\d+), (?P<comm>.{0,40}?)/(?P<pid>\d+)",
    ),
    ("lockdep", "report", 6, r"BUG: (?:spinlock|rwlock) lockup"),
    # locking
    (
        "lockdep",
        "report",
        8,
        r"(?:\[ )?(?:INFO|WARNING|BUG|=\[ BUG): (?P<what>possible circular locking dependency detected|possible recursive locking detected|inconsistent lock state|possible irq lock inversion dependency detected|(?:\w+-safe -> \w+-unsafe|\w+-order) lock order detected|possible unsafe locking|suspicious RCU usage|suspicious rcu_dereference\w*\(\) usage|bad unlock balance detected|bad contention detected|held lock freed|lock held (?:at task exit time, still held|when returning to user space)|lock held at task exit|nested lock was not taken|Nested lock was not taken|Invalid wait context|\[ Invalid wait context|possible reason: unannotated irqs|MAX_LOCK_DEPTH too low|MAX_LOCKDEP_\w+ too low|MAX_STACK_TRACE_ENTRIES too low|looking up invalid subclass|key \S+ (?:not in \.data|has not been registered)|trying to register non-static key|.{1,40}?/\d+ (?:still has locks held|is leaving the kernel with locks)|possible deadlock)",
    ),
    (
        "lockdep",
        "report",
        8,
        r"\[ BUG: (?:.{1,60}?/\d+ still has locks held|lock held|Invalid wait context)|=+\[ BUG: ",
    ),
    ("lockdep", "report", 7, r"BUG: workqueue leaked (?:lock|atomic)"),
    ("lockdep", "report", 7, r"\[ (?P<what>(?:INFO|BUG|WARNING): [\w][\w ,/'-]{5,80}[!.]?) \]"),
    (
        "atomic-sleep",
        "report",
        8,
        r"BUG: sleeping function called from (?:invalid|illegal) context at (?P<file>\S+:\d+)",
    ),
    ("atomic-sleep", "report", 8, r"BUG: scheduling while atomic: (?P<comm>.{0,40}?)/(?P<pid>\d+)/"),
    (
        "atomic-sleep",
        "report",
        8,
        r"BUG: (?:atomic scheduling while atomic|scheduling with irqs disabled|assuming (?:atomic|non migratable) context|assuming )",
    ),
    (
        "atomic-sleep",
        "report",
        8,
        r"BUG: using (?:\w+)\(\) in preemptible (?:\[\w+\] )?(?:code: (?P<comm>.{0,40}?)/(?P<pid>\d+))?",
    ),
    # memory
    (
        "bad-page",
        "report",
        8,
        r"BUG: Bad page (?:state in process (?P<comm>.{0,40}?) +pfn:|map in process|cache in process|state)",
    ),
    ("bad-page", "report", 8, r"Bad page state in process"),
    (
        "bad-page",
        "report",
        7,
        r"BUG: (?:Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on freeing mm)",
    ),
    ("memory-leak", "report", 7, r"unreferenced object 0x[0-9a-f]+ \(size \d+\):"),
    ("memory-leak", "report", 8, r"BUG: memory leak$|BUG: memory leak\b"),
    (
        "other",
        "report",
        5,
        r"BUG (?!UNIX)[\w:.-]+(?: [\w() -]{1,40})? ?\((?:Not tainted|Tainted: [A-Z ]+)\): (?!kasan: )",
    ),
    (
        "other",
        "report",
        5,
        r"BUG [\w:.-]+: (?:Objects remaining|Object already free|Redzone|Poison|(?:Left|Right) Redzone|Object padding|"
        r"Padding|Freepointer|Freechain|Freelist|Wrong object|Invalid object|Page slab|Slab |Attempt to free|Wrong number)",
    ),
    ("other", "report", 3, r"INFO: (?:Allocated|Freed) in \S+ age="),
    ("oom", "report", 8, r"(?P<comm>.{1,64}?) invoked oom-killer:"),
    (
        "oom",
        "report",
        7,
        r"(?:Out of memory|Memory cgroup out of memory)(?: \(oom_kill_allocating_task\))?: (?:Kill(?:ed)? process|No killable) ?(?P<killed>\d+)?",
    ),
    ("oom", "more", 7, r"Killed process \d+"),
    ("oom", "more", 7, r"oom-kill:constraint="),
    # hardware
    (
        "mce",
        "report",
        8,
        r"(?:mce: )?\[Hardware Error\]: (?:CPU (?P<cpu>\d+): )?Machine Check(?: Exception)?: ",
    ),
    ("mce", "report", 8, r"(?:HARDWARE ERROR|CPU (?P<cpu>\d+): Machine Check Exception: )"),
    (
        "mce",
        "more",
        7,
        r"(?:mce: )?\[Hardware Error\]: (?:RIP|TSC|PROCESSOR|Run the above|Machine check: |Some CPUs|This is not a software)",
    ),
    ("mce", "report", 8, r"(?:\{\d+\})?\[Hardware Error\]: +event severity: (?:fatal|recoverable)"),
    (
        "mce",
        "report",
        8,
        r"(?:Fatal )?Machine check(?: in kernel mode| exception in kernel)|Oops: Machine check",
    ),
    ("mce", "lead", 7, r"(?:Disabling lock debugging due to )?Uncorrected hardware memory error"),
    ("mce", "report", 8, r"Uncorrected hardware memory error|SError Interrupt on CPU(?P<cpu>\d+), code "),
    # people
    ("sysrq", "lead", 9, r"(?:sysrq: )?SysRq ?: Trigger a crash(?:dump)?|sysrq: Trigger a crash"),
    # warnings
    (
        "warning",
        "warn",
        5,
        rf"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at (?P<file>[^\s+]+:\d+)(?: {_FUNC}|$)",
    ),
    ("warning", "warn", 5, rf"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at {_FUNC}"),
    ("warning", "warn", 5, rf"WARNING: at (?P<file>[^\s+]+:\d+)(?: {_FUNC}|$)"),
    (
        "warning",
        "warn",
        5,
        rf"WARNING: (?P<file>[\w./-]+\.[chS]:\d+) at {_FUNC}(?:, CPU#(?P<cpu>\d+): (?P<comm>.{{1,40}})/(?P<pid>\d+))?",
    ),
    (
        "warning",
        "report",
        5,
        r"WARNING: (?:kernel stack (?:frame pointer|regs) at|stack (?:recursion|going in the wrong)|can't (?:dereference|access) registers|unrecognized unwind|zero-size vmalloc)",
    ),
    ("warning", "report", 5, r"WARNING: (?:stack-protector|suspicious|lock|locking|possible|held) [\w -]+"),
    # the rest
    ("panic", "panic", 4, r"Kernel panic - not syncing: ?(?P<reason>.*)|Kernel panic: (?P<reason2>.*)"),
    ("other", "report", 3, r"unregister_netdevice: waiting for \S+ to become free"),
    ("other", "report", 3, r"VFS: (?:Busy inodes after unmount|Close: file count is (?:0|zero))"),
    ("bug", "report", 3, r"BUG: Dentry "),
    ("bug", "report", 2, r"BUG: (?!.{0,80}\bat addr)[A-Za-z].{3,}"),
)

HEADS: tuple[Head, ...] = tuple(Head(kind, role, rank, re.compile(text)) for kind, role, rank, text in _TABLE)

_MAYBE = re.compile(
    r"BUG|WARNING|INFO: |UBSAN|\[#\d|nable to handle|Unhandled|panic|PANIC|corruption|usercopy|refcount_t: |"
    r"detected buffer|field-spanning|double add|->prev should|->next should|GPF could|general protection|divide error|"
    r"LOCKUP|oom-k|ut of memory|Killed process|Hardware Error|HARDWARE|achine [Cc]heck|hardware memory error|SError|"
    r"Trigger a crash|unreferenced obj|waiting for |VFS: |stack overflow|Insufficient stack|Kernel attempted|kernel tried|Faulting instr|Bad page"
)


class Match(NamedTuple):
    """A head found in a line: which, and its named groups (unmatched ones left out)."""

    head: Head
    groups: dict[str, str]


def match_head(text: str) -> Match | None:
    """The head that `text` (a line without prefixes) is, or None. The first row of the table that fits decides."""
    if not _MAYBE.search(text):
        return None
    for head in HEADS:
        found = head.pattern.match(text)
        if found:
            return Match(head, {k: v for k, v in found.groupdict().items() if v is not None})
    return None
