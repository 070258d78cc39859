"""Whether a line is the rest of the one before: what a kernel line cannot end with, and what none begins with.

Independent of any width: mail programs, terminals and people break lines where they like, replies break them again.
Each rule needs both sides, a line that lacks its end and a line that is such an end, because reports have short lines.
Sources of the lines' forms: those that heads.py, header.py, registers.py and trace.py name.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_BRACKETED = r"\(?\[?<?[0-9a-f]{8,16}>?\]?\)?"
_PLACE = lazy(
    rf"(?:[0-9a-f]{{4}}:)?(?:{_BRACKETED} ){{0,2}}(?:\? )?\(?[\w.$]+"
    r"(?:\+0x[0-9a-f]| \S+:\d+ \[inline\]| \([\w./+-]+:\d+|\) from )"
)
_PLACE_MISSING = lazy(
    rf"(?:BUG: K|WARNING: |CFI ).* (?:in|at)$|.*, at:(?: {_BRACKETED})?$|.* at: {_BRACKETED}$"
    rf"|WARNING: .*\bat \S+:\d+$|(?=[(\[<]){_BRACKETED}(?: {_BRACKETED})?(?: \?)?$|\?$"
    rf"|(?:RIP|EIP|IP):?(?: +(?:[0-9a-f]{{4}}:)?(?:{_BRACKETED}(?: +{_BRACKETED})?)?)?$|(?:pc|lr|epc|NIP|LR) ?:?$"
    rf"|(?:NIP|LR) \[[0-9a-f]+\]$|(?:PC|LR|EIP) is at$|Krnl PSW : [0-9a-f]{{16}} [0-9a-f]{{16}}$"
    rf"|.*[0-9a-f)\]] from(?: {_BRACKETED})?$"
)
_FRAME_END = lazy(r".*\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}\)?$")
_MODULE_TAG = lazy(r"\[[A-Za-z_][\w.-]{0,63}(?: [^\]\s]{1,60})?\](?: [\w./+-]+:\d+)?$")
_SOURCE = lazy(r"[\w./+-]+\.[chSs]:\d+(?: \[inline\]| \(discriminator \d+\))?$")
_NAME = lazy(r"(?:\? )?[A-Za-z_][\w.$]*$")
_DECODED_REST = lazy(r"(?:[\w./+-]+:[\d?]+[\s)]|\(?discriminator \d+\)|\d{1,4}\)|[\w./+-]+:[\d?]+$)")
_CPU_REST = lazy(
    r"(?:\d+,? +)?(?:UID: \d|PID: \d|Comm: |comm: |Kdump: |(?:[Nn]ot )?[Tt]ainted(?!: \[))"
    r"|[A-Z -]{0,60}\(?\d{1,2}\.\d{1,3}[.\w+~-]*(?: \(?#|\)?$)|(?:\(?#\d|loaded )"
)
_FLAGS = lazy(r"[A-Z -]{1,40}$")
_TAINT_OPEN = lazy(
    r".* (?:[Nn]ot(?: tainted)?|Tainted: [A-Z][A-Z -]{0,40})$|(?:Not(?: tainted)?|Tainted:[A-Z -]{0,40})$"
)
_TAINT_REST = lazy(r"(?:tainted )?[A-Z -]{0,60}\(?\d{1,2}\.\d{1,3}|tainted$")
_RELEASE_END = lazy(r"(?:.*[Tt]ainted(?:: [A-Z -]{1,60})? +\(?)?\d{1,2}\.\d{1,3}[.\w+~-]*$")
_LOCKDEP_RELEASE = lazy(r"\d{1,2}\.\d{1,3}[.\w+~-]* #\d\S*$")
_TOLD = (
    "BUG:", "WARNING:", "INFO:", "Unable to", "general prot", "kernel BUG", "Kernel ", "UBSAN:", "watchdog: ",
    "NMI watchdog: ", "Oops", "list_", "refcount_t: ", "Internal error", "rcu: ", "stack segment", "usercopy: ",
    "divide error", "invalid opcode", "=", "INFO: task ", "Read ", "Write ", "Hardware name:",
)  # fmt: skip
_OPEN = lazy(
    r".*(?:^| )(?:at|in|address:?|for|by|of|than|more|pointer|kernel|virtual|handle|to|unable|stuck|paging|on|not|-"
    r"|syncing:|possibly|probably|NULL|non-canonical|PID:|CPU:|invalid|context|the|from|is|data|page|dereference,?"
    r"|protection|opcode|divide|double|segment|recursive|locking|lock|circular|dependency|detected|inconsistent"
    r"|suspicious|blocked|task|soft|hard|fault,?|\w+:|panic|bad|function|called|sleeping|while|RCU|preemptible|[0-9a-f]{4}|integer|subtraction|overflow)$"
)
"""Words before which mail programs break first lines; few of these lines can end so, and `_HEAD_REST` tells them."""
_HEAD_REST = lazy(
    r"(?:at|in|for|by|address:?|virtual|more|than|blocked|kernel|pointer|paging|handle|NULL|dereference|request|stuck"
    r"|on|CPU#?\d*|PID:|detected|usage!?$|dependency|locking|lock|state|non-canonical|probably|maybe|not|syncing|error:?"
    r"|protection|opcode:|fault[:,]?|called|function|from|invalid|context|code:)(?: |$)"
    r"|CPU: \d+ PID: \d+ at|unable to|Unable to|soft lockup"
    r"|\[[0-9a-f]{8}\] code:|(?:0x)?[0-9a-f]{8,16}\b(?:: [0-9a-f]{4}\b|.{0,40}$)|[0-9a-f]{4} \[#\d|\d{1,6} seconds"
    r"|\d{1,7}s!|[\w./-]+\.[chS]:\d"
)
_SANITIZER = lazy(r"K(?:A|M|C)SAN: |KFENCE: ")
_LOCKED_TASK = lazy(r"\[.{1,40}:\d+\]$")
_HUNG_REST = lazy(r"(?:\S+:\d+ )?(?:blocked|for|more|than|\d+ seconds|seconds)\b")
_ACCESS_REST = lazy(r"(?:of|size|at|addr|by|task)\b|[0-9a-f]{8,16} by |.{1,40}/\d+$")
_REGISTER_OPEN = lazy(r"(?:.* )?(?:[A-Z][A-Z0-9_]{1,8}|knlGS|(?:status|badaddr|cause|[a-z]\d{1,2}|[a-z]{2}) ?):$")
_HEX = lazy(r"[0-9a-f]{4}:|[0-9a-f]{8}(?:[0-9a-f]{8})?\b")
_MACHINE_REST = lazy(r"(?:.{1,80} )?(?:BIOS \S|\d\d/\d\d/\d{4}$)")


def is_rest(held: str, text: str) -> bool:
    """Whether `held` lacks its end and `text` is it; both are printed lines without prefixes, not empty."""
    if "+0x" in text and "+0x" in held and " from" not in held:
        return False  # a place after a place, as in every trace
    first = text[0]
    if first == "[":
        told = _bracketed(held, text)
        if told is not None:
            return told
    if text == "(unreliable)":
        return "+0x" in held
    if first == "f" and text.startswith("from ["):
        return held[-1] in ")]"
    if held[-1] in ":?>])nmt" or held[:4] in ("WARN", "Krnl") or len(held) < 20:
        if ("+0x" in text or ":" in text or "from" in text) and _PLACE_MISSING.match(held) and _PLACE.match(text):
            return True
        if held[-1] == ":" and _REGISTER_OPEN.match(held) and _HEX.match(text):
            return True
    if held.startswith(("CPU: ", "Pid: ")):
        return _cpu_goes_on(held, text)
    if "+0x" in text:
        return held.startswith("BUG: K") and held[-1] == ":" and " in " in text
    if _tagged(held, text):
        return True
    if ("ainted" in held or held.endswith("ot")) and _TAINT_OPEN.match(held) and _TAINT_REST.match(text):
        return True
    if first == "#":
        return text[1:2].isdigit() and _RELEASE_END.match(held) is not None
    if "ainted" in text and held[0].isdigit():
        return (
            text.startswith(("Not ", "Tainted: ", "tainted"))
            and text[9:10] != "["
            and _LOCKDEP_RELEASE.match(held) is not None
        )
    return held.startswith(_TOLD) and _told_on(held, text)


def _bracketed(held: str, text: str) -> bool | None:
    """The answer for "[#1] SMP", a module's tag and a soft lockup's task; None for what is none of these."""
    if text[1:2] == "#":
        return ": " in held
    if _MODULE_TAG.match(text):
        return _FRAME_END.match(held) is not None or (text == "[inline]" and held[-1:].isdigit())
    if "lockup" in held:
        return held.endswith("s!") and _LOCKED_TASK.match(text) is not None
    return None


def _cpu_goes_on(held: str, text: str) -> bool:
    """A CPU line ends with the build number ("#1 SMP ..."): what comes before it may be anywhere."""
    if "#" in held:
        return False
    if held.endswith(("Comm:", "comm:")):
        return "ainted" in text or _CPU_REST.match(text) is None
    if _CPU_REST.match(text) or (held.endswith("PID:") and text[0].isdigit()):
        return True
    return "ainted: " in held and _FLAGS.match(text) is not None


def _tagged(held: str, text: str) -> bool:
    """A frame whose file name, or the rest of the file names in its brackets, stands on the next line."""
    if (".c:" in text or ".h:" in text or ".S:" in text) and _SOURCE.match(text):
        whole = _FRAME_END.match(held) or (held[-1] == "]" and "+0x" in held)
        return bool(whole or (text.endswith("[inline]") and _NAME.match(held)))
    if "(" in held and ")" in text and held.count("(") > held.count(")"):
        return ":" in held and _DECODED_REST.match(text) is not None
    return False


def _told_on(held: str, text: str) -> bool:
    """A first line, an access, a hung task's line or the machine's name that goes on."""
    if held.startswith("INFO: task "):
        return "seconds" not in held and _HUNG_REST.match(text) is not None
    if held.startswith(("Read of", "Write of", "Read at", "Write at")):
        return not held[-1:].isdigit() and "/" not in held and _ACCESS_REST.match(text) is not None
    if held.startswith("Hardware name:"):
        return _MACHINE_REST.match(text) is not None
    if _SANITIZER.match(text):
        return held == "BUG:"
    if _OPEN.match(held) is None:
        return False
    return _HEAD_REST.match(text) is not None or ("[#" in text and "[#" not in held)
