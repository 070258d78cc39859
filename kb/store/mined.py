"""Mined rules: one file a subsystem, many short rules a file, and what they become when the knowledge is compiled.

    format: 1
    subsystem: net-sctp
    rules:
      - id: cve-2024-12345              # of the CVE record; never changes
        title: "sctp: ..."              # the fix's subject line
        status: test                    # draft where it fires on other records' crashes
        tier: production                # or sanitizer (only a debug kernel shows it), thin (little is known),
                                        # symptom (a victim's crash: never answers; by hand)
        anchor: [sctp, net/sctp/]       # of which a crash must show one
        crashes:                        # those that the record quotes, one to three
          - {kind: null-deref, top: memcpy, blamed: [sctp_a, sctp_b], frames: [sctp_c], at: "net/sctp/socket.c:12"}
        mentioned: [sctp_e]             # functions that the fix is about and no crash shows
        named: [sctp_f]                 # further functions of traces and text: too weak for an answer
        files: [net/sctp/socket.c]      # the files that the fix changes
        seen: [6.13.0-rc3-00017-gf44d154d6e3d]     # kernels whose crash the record quotes
        boards: ["Acme X1 (DT)"]        # machines of drivers' and architectures' defects, no virtual ones
        causes: [d5c65159f289]          # commits that brought the defect in
        ranges: ["4.20 5.10.42 a663c1e418a3"]      # introduced, fixed, the branch's fix
        related: [cve-2024-12346]

`top` is where the CPU stood, if that is not the blamed function; `at` the place that a BUG or WARNING named; `access`
and `check` what the report says of the access and what a sanitizer found; `titled`: the
title names the blamed function.
Hand edits live in overrides.yaml beside them, by id: `set` replaces values, `drop` leaves the rule out and says why.
How rare a function is, and which functions are magnets, is computed from all rules when they are compiled.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbmatch.engine.document import Mapping as MappingNode
from kbmatch.engine.document import Node, Problems, Reader
from kbmatch.engine.face import FAMILY
from kbmatch.engine.kinds import ACCESSES
from kbmatch.engine.rule import STATUSES
from kbmatch.engine.values import dataclass, replace
from kbmatch.kb.store.documents import document_from_plain
from kbmatch.kb.store.mended import MendedCode, driver_words, machines_of
from kbmatch.kb.store.yaml_reader import read_yaml

OVERRIDES = "overrides.yaml"
TIERS = ("production", "sanitizer", "thin", "symptom")
SCALE = 4000
"""Rules that rarity is measured against where a folder holds fewer: two of two with the same function say little."""
MAGNET_FOLDERS = 3
"""A function in which the fixes of so many folders crash is nobody's own."""
_KEYS = (
    "id",
    "title",
    "status",
    "tier",
    "anchor",
    "crashes",
    "mentioned",
    "named",
    "files",
    "seen",
    "boards",
    "causes",
    "ranges",
    "related",
)
_CRASH_KEYS = ("kind", "top", "blamed", "frames", "at", "access", "titled", "check")
_SETTABLE = ("title", "status", "tier", "anchor", "mentioned", "ranges", "related")
_CVE = re.compile(r"cve-\d{4}-\d{4,9}")
_CRASHES = frozenset(("null-deref", "page-fault", "gpf", "bug", "list-corruption", "double-fault", "panic", "kasan"))


@dataclass(frozen=True, slots=True)
class MinedCrash:
    """One quoted crash; the names are those of the scored leaf (engine/similarity.py)."""

    kind: str
    blamed: tuple[str, ...]
    top: str | None = None
    frames: tuple[str, ...] = ()
    at: str | None = None
    access: str | None = None
    titled: bool = False
    check: str | None = None


@dataclass(frozen=True, slots=True)
class MinedRule:
    """One mined rule as it stands in its file; its first crash is the most telling one."""

    id: str
    title: str
    crashes: tuple[MinedCrash, ...]
    ranges: tuple[str, ...]
    status: str = "test"
    tier: str = "production"
    anchor: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    mentioned: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    subsystem: str = ""
    file: str = ""

    @property
    def functions(self) -> frozenset[str]:
        """All functions that its crashes name as specific."""
        return frozenset(name for crash in self.crashes for name in (*crash.blamed, *crash.frames))

    @property
    def commits(self) -> tuple[str, ...]:
        """The fixes of all branches, 12 digits each, mainline's first."""
        commits = [parts[2] for line in reversed(self.ranges) if len(parts := line.split()) > 2 and parts[2] != "0"]
        return tuple(dict.fromkeys(commits))


def read_mined(paths: Sequence[Path], problems: Problems) -> list[MinedRule]:
    """The rules of the files, overrides applied, in the files' order. What is wrong is noted."""
    found: list[MinedRule] = []
    for path in paths:
        if path.name != OVERRIDES:
            found += _file(path, problems)
    for path in paths:
        if path.name == OVERRIDES:
            found = _overridden(found, path, problems)
    return found


def _file(path: Path, problems: Problems) -> Iterator[MinedRule]:
    node = read_yaml(path)
    if not isinstance(node, MappingNode):
        problems.add(node, "not-mined", "a file of mined rules holds one mapping with the key 'format'")
        return
    reader = Reader(node, problems, "a file of mined rules")
    reader.check_keys(("format", "subsystem", "rules"), ("format", "subsystem", "rules"))
    subsystem = reader.text("subsystem") or ""
    for item in reader.mappings("rules"):
        entry = Reader(item, problems, "a mined rule")
        entry.check_keys(_KEYS, ("id", "title", "status", "tier", "crashes", "ranges"))
        id_ = entry.text("id") or ""
        if _CVE.fullmatch(id_) is None:
            problems.add(item.get("id") or item, "bad-id", f"a mined rule is named like cve-2024-1234, not {id_!r}")
            continue
        yield MinedRule(
            id=id_,
            title=entry.text("title") or "",
            crashes=tuple(_crash(crash, problems) for crash in entry.mappings("crashes")),
            ranges=entry.texts("ranges"),
            status=entry.one_of("status", STATUSES) or "draft",
            tier=entry.one_of("tier", TIERS) or "thin",
            anchor=entry.texts("anchor"),
            related=entry.texts("related"),
            mentioned=entry.texts("mentioned"),
            named=entry.texts("named"),
            files=entry.texts("files"),
            seen=entry.texts("seen"),
            boards=entry.texts("boards"),
            causes=entry.texts("causes"),
            subsystem=subsystem,
            file=f"{path}#{id_}",
        )


def _crash(node: MappingNode, problems: Problems) -> MinedCrash:
    reader = Reader(node, problems, "a crash")
    reader.check_keys(_CRASH_KEYS, ("kind", "blamed"))
    return MinedCrash(
        kind=reader.one_of("kind", tuple(FAMILY)) or "other",
        blamed=reader.texts("blamed"),
        top=reader.text("top"),
        frames=reader.texts("frames"),
        at=reader.text("at"),
        access=None if node.get("access") is None else reader.one_of("access", ACCESSES),
        titled=node.get("titled") is not None,
        check=reader.text("check"),
    )


def _overridden(rules: list[MinedRule], path: Path, problems: Problems) -> list[MinedRule]:
    node = read_yaml(path)
    if not isinstance(node, MappingNode):
        problems.add(node, "not-mined", "overrides are one mapping with the key 'format'")
        return rules
    reader = Reader(node, problems, "the overrides")
    reader.check_keys(("format", "overrides"), ("format",))
    by_id = {rule.id: rule for rule in rules}
    for item in reader.mappings("overrides"):
        entry = Reader(item, problems, "an override")
        entry.check_keys(("id", "set", "drop", "reason"), ("id", "reason"))
        id_ = entry.text("id") or ""
        if id_ not in by_id:
            problems.add(item.get("id") or item, "unknown-rule", f"no mined rule {id_!r}: drop the override")
            continue
        if item.get("drop") is not None:
            del by_id[id_]
            continue
        changes = item.get("set")
        if isinstance(changes, MappingNode):
            by_id[id_] = _changed(by_id[id_], Reader(changes, problems, "'set'"))
    return list(by_id.values())


def _changed(rule: MinedRule, values: Reader) -> MinedRule:
    values.check_keys(_SETTABLE)

    def listed(key: str, now: tuple[str, ...]) -> tuple[str, ...]:
        return now if values.node.get(key) is None else values.texts(key)

    return replace(
        rule,
        title=values.text("title") or rule.title,
        status=values.one_of("status", STATUSES) or rule.status,
        tier=values.one_of("tier", TIERS) or rule.tier,
        anchor=listed("anchor", rule.anchor),
        mentioned=listed("mentioned", rule.mentioned),
        ranges=listed("ranges", rule.ranges),
        related=listed("related", rule.related),
    )


def rarity(rules: Sequence[MinedRule]) -> dict[str, float]:
    """How rare each function is among all rules: 1 where one rule has it, towards 0 where all have."""
    count = Counter(name for rule in rules for name in rule.functions)
    total = math.log(max(SCALE, len(rules)))
    return {name: max(0.02, 1 - math.log(number) / total) for name, number in count.items()}


def magnets(rules: Iterable[MinedRule]) -> frozenset[str]:
    """Functions in which the fixes of MAGNET_FOLDERS or more subsystems crash."""
    places: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        for crash in rule.crashes:
            places[crash.blamed[0]].add(rule.subsystem)
    return frozenset(name for name, found in places.items() if len(found) >= MAGNET_FOLDERS)


def expanded(rules: Sequence[MinedRule], homes: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Node]]:
    """(file, rule document) of each rule, as load_rule reads it. `homes`: the source files that define a function."""
    whole = [rule for rule in rules if rule.crashes and all(crash.blamed for crash in rule.crashes)]
    rare, drawn, code = rarity(whole), magnets(whole), MendedCode(homes)
    for rule in whole:
        yield rule.file, document_from_plain(plain_rule(rule, rare, drawn, code), rule.file)


def plain_crash(
    rule: MinedRule,
    crash: MinedCrash,
    rare: Mapping[str, float],
    drawn: frozenset[str],
    code: MendedCode,
) -> dict[str, Any]:
    """The scored leaf of one crash as plain values."""
    similar: dict[str, Any] = {"kind": crash.kind, "blamed": list(crash.blamed)}
    if crash.top:
        similar["top"] = crash.top
    if crash.frames:
        similar["frames"] = list(crash.frames)
    similar["weights"] = [round(rare.get(name, 1.0), 3) for name in (crash.blamed[0], *crash.frames)]
    if rule.anchor:
        similar["anchor"] = list(rule.anchor)
    if crash.at:
        similar["at"] = crash.at
    if crash.access:
        similar["access"] = crash.access
    if crash.titled:
        similar["titled"] = True
    if crash.blamed[0] in drawn:
        similar["magnet"] = True
    if rule.tier == "thin":
        similar["alone"] = True
    if rule.tier == "symptom":
        similar["symptom"] = True
    if not rule.anchor and not code.is_shown(rule.files, (*crash.blamed, crash.top or "", *crash.frames)):
        similar["foreign"] = True
    machines = machines_of(rule.files)
    if machines:
        similar["arch"] = list(machines)
    words = driver_words(rule.files)
    if words:
        similar["driver"] = list(words)
    if rule.mentioned and crash is rule.crashes[0]:
        similar["mentioned"] = list(rule.mentioned)
    return similar


def plain_rule(rule: MinedRule, rare: Mapping[str, float], drawn: frozenset[str], code: MendedCode) -> dict[str, Any]:
    """The rule document as plain values."""
    leaves = [{"similar": plain_crash(rule, crash, rare, drawn, code)} for crash in rule.crashes]
    cve, first = rule.id.upper(), rule.crashes[0]
    where = f"{first.kind} in {first.blamed[0]}" + (f", called from {first.frames[0]}" if first.frames else "")
    return {
        "format": 1,
        "id": rule.id,
        "title": rule.title,
        "status": rule.status,
        "severity": "high" if first.kind in _CRASHES else "medium",
        "created": _created(rule.id),
        "description": f"{cve} ({rule.subsystem}). The crash that its record quotes is a {where}.",
        "signature": leaves[0] if len(leaves) == 1 else {"any": leaves},
        "affected": [{"product": "linux", "ranges": _ranges(rule.ranges), "source": f"{cve}, kernel.org"}],
        "fixes": [{"commit": commit, "title": rule.title} for commit in rule.commits],
        "aliases": [cve],
        **({"related": list(rule.related)} if rule.related else {}),
        "references": [f"https://www.cve.org/CVERecord?id={cve}"],
    }


def _created(rule_id: str) -> str:
    return f"{rule_id.split('-')[1]}-01-01"


def _ranges(lines: Sequence[str]) -> list[dict[str, str]]:
    found = []
    for line in lines:
        introduced, fixed, *_ = (*line.split(), "0")
        part = {"introduced": introduced}
        if fixed != "0":
            part["fixed"] = fixed
        branch = re.match(r"(\d+\.\d+)\.\d+$", fixed)
        if branch and int(fixed.split(".", maxsplit=1)[0]) >= 3:
            part = {"branch": branch[1], **part}
        found.append(part)
    return found
