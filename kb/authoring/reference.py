"""Reference pages made from the registries: facts, kinds, verdicts, probes, and a page for each lint code."""

from __future__ import annotations

from collections.abc import Iterator

from kbmatch.engine.condition import INTEGER_OPERATORS, TEXT_OPERATORS
from kbmatch.engine.facts import FACTS, Fact
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.authoring.codes import CODES, Code
from kbmatch.kb.store.knowledge import KnowledgeBase

_NOTE = "<!-- Made by `kbmatch rule schema --docs docs kb/schema`; do not edit. -->"

_KIND_MEANINGS = {
    "null-deref": "an access through NULL: the faulting address is below 64 KiB",
    "page-fault": "an access to any other address that is not mapped or not allowed",
    "gpf": "general protection fault: mostly a pointer that is no canonical address",
    "double-fault": "a fault while another was being handled",
    "stack-overflow": "the kernel stack ran into its guard page",
    "divide-error": "a division by zero or an overflowing one",
    "invalid-opcode": "an instruction that does not exist, without a BUG behind it",
    "bug": "BUG() or BUG_ON(): the kernel found its own state impossible",
    "warning": "WARN() or WARN_ON()",
    "panic": "panic() called with a reason of its own",
    "sysrq": "a crash that somebody asked for by SysRq",
    "kasan": "KASAN: a bad access that the sanitizer saw",
    "kmsan": "KMSAN: a use of memory that was never written",
    "kcsan": "KCSAN: a data race",
    "kfence": "KFENCE: a bad access that a guard page caught",
    "ubsan": "UBSAN: undefined behaviour",
    "refcount": "a reference counter that overflowed or fell below zero",
    "list-corruption": "a linked list whose neighbours do not agree",
    "bad-page": "a page freed or handed out in an impossible state",
    "usercopy": "hardened usercopy: a copy beyond an object",
    "stack-segment": "stack segment fault",
    "alignment": "an unaligned access where none is allowed",
    "soft-lockup": "a CPU that did not schedule for long",
    "hard-lockup": "a CPU that took no interrupt for long",
    "hung-task": "a task blocked for long in uninterruptible sleep",
    "rcu-stall": "RCU waits for a CPU or a task",
    "workqueue-stall": "a worker pool that makes no progress",
    "lockdep": "the lock validator: a deadlock that could happen",
    "atomic-sleep": "sleeping where that is not allowed, scheduling while atomic",
    "memory-leak": "kmemleak: memory that nothing points to",
    "oom": "memory exhausted, the killer invoked",
    "mce": "machine check: hardware",
    "other": "none of these; also a dump taken from outside",
}
_VERDICT_MEANINGS = {
    "confirmed": "memory or the register file proves it. With a version conflict (the version should not have "
    "the bug): "
    "escalate first",
    "likely": "the crash looks like it, and this kernel is affected",
    "already-fixed": "the crash looks like it, but this kernel has the fix: do not upgrade for this",
    "possible": "the crash looks like it; whether this kernel is affected is not known",
    "not-a-kernel-bug": "hardware, memory exhausted, a crash by hand, an out-of-tree module",
    "refuted": "the crash looks like it, but memory contradicts it",
    "not-affected": "the crash looks like it, but this kernel is older than the bug",
    "excepted": "an exception of the rule or of the site holds",
    "incomplete": "a fact that the signature needs is missing; `--all` says which",
}


def pages() -> dict[str, str]:
    """All pages as texts, by path below docs/."""
    found = {
        "reference/facts.md": _page(_facts()), "reference/kinds.md": _page(_kinds()),
        "reference/verdicts.md": _page(_verdicts()), "reference/probes.md": _page(_probes()),
        "lint/README.md": _page(_codes()),
    }  # fmt: skip
    return found | {f"lint/{code.name}.md": _page(_code(code)) for code in CODES.values()}


def _page(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


def _facts() -> Iterator[str]:
    yield "# Facts"
    yield _NOTE
    yield ""
    yield (
        "What a rule's `signature` and `exceptions` may name. A leaf is `fact: value` (equals), `fact: [a, "
        "b]` (one of) or"
    )
    yield (
        "`fact: {operator: value}`. A fact that the input does not tell is unknown: never false, and never "
        "true under `not`."
    )
    yield ""
    yield f"- numbers take {', '.join(f'`{name}`' for name in INTEGER_OPERATORS)}; `mask: [MASK, WANTED]`"
    yield f"- texts take {', '.join(f'`{name}`' for name in TEXT_OPERATORS)}"
    yield (
        "- `frame`, and `task-frame` under `any-task`, take `in-order: [innermost, ..., outermost]` (gaps allowed) and"
    )
    yield "  `adjacent: [...]` (no gaps); frames printed with `?` do not count there"
    yield "- `any-task: {condition}` judges each blocked task by itself: `task-...` are then facts of that task"
    yield ""
    yield (
        "**Selective** facts are what rules are looked up by; a signature needs one. **Several**: the fact "
        "has several values"
    )
    yield (
        "at once, and a leaf is true if one fits. **Test only**: differs from build to build, so no "
        "signature may name it."
    )
    yield ""
    yield "| fact | type | meaning | |"
    yield "|---|---|---|---|"
    for fact in FACTS.values():
        yield f"| `{fact.name}` | {_type(fact)} | {fact.meaning} | {', '.join(_marks(fact))} |"


def _type(fact: Fact) -> str:
    if fact.name == "kind":
        return "[kind](kinds.md)"
    return " / ".join(f"`{value}`" for value in fact.closed) or ("number" if fact.type == "integer" else "text")


def _marks(fact: Fact) -> Iterator[str]:
    if fact.selective:
        yield "selective"
    if fact.many:
        yield "several"
    if not fact.in_signature:
        yield "test only"


def _kinds() -> Iterator[str]:
    yield "# Kinds of crashes"
    yield _NOTE
    yield ""
    yield "| kind | what the kernel reported |"
    yield "|---|---|"
    for kind in KINDS:
        yield f"| `{kind}` | {_KIND_MEANINGS[kind]} |"


def _verdicts() -> Iterator[str]:
    yield "# Verdicts"
    yield _NOTE
    yield ""
    yield (
        "In the order in which findings are listed; without `--all` those below `not-a-kernel-bug` are not "
        "shown. A test case"
    )
    yield "may also expect `none`: the rule does not fit."
    yield ""
    yield "| verdict | meaning |"
    yield "|---|---|"
    for verdict in Verdict:
        yield f"| `{verdict.value}` | {_VERDICT_MEANINGS[verdict.value]} |"


def _probes() -> Iterator[str]:
    yield "# Probes"
    yield _NOTE
    yield ""
    yield (
        "What a rule's `state` may ask of memory. A record is one object (a ring, a queue); `any-record` is "
        "true if one record"
    )
    yield "fulfils it, and false only if every record was read."
    for probe in sorted(KnowledgeBase().probes(), key=lambda one: one.id):
        yield ""
        yield f"## {probe.id}"
        yield ""
        where = f"module `{probe.module}`" if probe.module else "the kernel proper"
        yield f"One record a `{probe.type_name}` of {where}."
        yield ""
        yield "| field | type | read as |"
        yield "|---|---|---|"
        for field in probe.record:
            shown = field.source.replace("|", "\\|")
            how = f"how often in a row `{shown}`" if field.counter else f"`{shown}`"
            yield f"| `{field.name}` | {'number' if field.type == 'integer' else 'text'} | {how} |"


def _codes() -> Iterator[str]:
    yield "# What lint says"
    yield _NOTE
    yield ""
    yield (
        "`kbmatch rule lint --explain CODE` prints the same. Codes are permanent. Errors make lint fail, "
        "warnings only with"
    )
    yield "`--strict`."
    yield ""
    yield "| code | level | what it means |"
    yield "|---|---|---|"
    for code in CODES.values():
        yield f"| [{code.name}]({code.name}.md) | {code.level} | {code.title} |"


def _code(code: Code) -> Iterator[str]:
    yield f"# {code.name}"
    yield _NOTE
    yield ""
    yield f"**{code.level}**: {code.title}."
    yield ""
    yield code.why
    yield ""
    yield f"**What to do:** {code.hint}"
    for title, example in (("Instead of", code.bad), ("write", code.good)):
        if example:
            yield from ("", f"{title}", "", "```yaml", *example.splitlines(), "```")
