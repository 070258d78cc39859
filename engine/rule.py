"""Rule: one known issue - its signature, the state that proves it, who is affected, what fixes it."""

from __future__ import annotations

from kbmatch.engine.affected import Affected
from kbmatch.engine.condition import Condition
from kbmatch.engine.values import dataclass

STATUSES: tuple[str, ...] = ("draft", "test", "stable", "deprecated", "withdrawn")
SEVERITIES: tuple[str, ...] = ("low", "medium", "high", "critical")
CLASSES: tuple[str, ...] = ("kernel-bug", "not-a-kernel-bug")
ACTIONS: tuple[str, ...] = ("hardware", "configuration", "vendor", "none")
ACTIVE_STATUSES: frozenset[str] = frozenset({"test", "stable", "deprecated"})
"""Rules that take part in an answer; a draft does so only when asked for."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit that fixes the issue: 12 or more lower-case hex digits, and its subject line."""

    commit: str
    title: str


@dataclass(frozen=True, slots=True)
class StateCondition:
    """True if one record of the probe satisfies `any_record`; false only if the probe was complete and none does."""

    probe: str
    any_record: Condition


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A case in which the rule must not speak although its signature fits, and why."""

    when: Condition
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One known issue. Several `state` conditions must all hold. `action` is what a not-a-kernel-bug recommends."""

    id: str
    title: str
    status: str
    severity: str
    created: str
    description: str
    signature: Condition
    rule_class: str = "kernel-bug"
    action: str | None = None
    state: tuple[StateCondition, ...] = ()
    exceptions: tuple[Exclusion, ...] = ()
    affected: tuple[Affected, ...] = ()
    fixes: tuple[Fix, ...] = ()
    aliases: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    workaround: str | None = None
    references: tuple[str, ...] = ()
    file: str | None = None
