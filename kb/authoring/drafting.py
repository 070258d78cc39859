"""Drafts a rule and its test from a crash: what the crash shows is filled in, every guess is marked as one.

Two fields are left to the author, and lint says so: the title, and the version with the fix. The test holds the crash's
own lines, redacted, and cases that each condition alone decides.
"""

from __future__ import annotations

import json
import re

from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.errors import KbmatchError
from kbmatch.engine.incident import Incident
from kbmatch.engine.products import UPSTREAM, Product
from kbmatch.engine.signature import Signature
from kbmatch.engine.values import dataclass, replace
from kbmatch.engine.versions import upstream
from kbmatch.kb.authoring.drafting_panic import leaf_line, panic_leaf, rule_name
from kbmatch.kb.authoring.lint import TODO, Tables
from kbmatch.kb.authoring.redaction.redactor import Redactor

_CALLERS = 3
_MAX_LINES = 120


class NothingToDraft(KbmatchError):
    """The crash names no function that a rule could be looked up by; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DraftedRule:
    """A rule and its test as texts."""

    id: str
    rule: str
    test: str


def draft(incident: Incident, index: int, tables: Tables, today: str, rule_id: str | None = None) -> DraftedRule:
    """The draft for one event of a prepared incident. `today` is the day as "2026-11-22".

    Raises NothingToDraft if the event names no function.
    """
    event = incident.events[index]
    where = _where(event, tables)
    if where is None:
        leaf = panic_leaf(incident, index)
        if leaf is not None:
            return _panic_draft(incident, index, tables, today, rule_id, leaf)
        raise NothingToDraft(
            "this crash names no function that is its own, so no rule could be looked up by it; "
            "try a log that has the call trace"
        )
    fact, function = where
    name = rule_id or _id(event, function)
    product = tables.products.get(incident.kernel.product)
    rule = "\n".join([*_head(name, event, function, incident, today), *_signature(event, fact, function, tables)])
    rule += "\n" + "\n".join(_affected(incident, product)) + "\n"
    return DraftedRule(name, rule, _test(name, incident, event, fact, function, product, tables))


def _panic_draft(
    incident: Incident, index: int, tables: Tables, today: str, rule_id: str | None, leaf: tuple[str, str]
) -> DraftedRule:
    event = incident.events[index]
    name = rule_id or rule_name(leaf[1])
    product = tables.products.get(incident.kernel.product)
    rule = [*_preamble(name, "The kernel gave up by itself; no function is known.", today)]
    rule += ["signature:", leaf_line(*leaf), *_affected(incident, product)]
    verdict = "likely" if product is not None and _line_of(incident, product) is not None else "possible"
    lines = excerpt(incident, event)
    other = {"kind": "panic", "message": "Kernel panic - not syncing: acme: another reason"}
    test = [
        "format: 1", f"rule: {name}", "cases:",
        "  - name: the crash that this rule was drafted from",
        "    log: |", *(f"      {line}" if line else "" for line in lines), *_kernel_keys(incident),
        f"    expect: {{verdict: {verdict}, evidence: [panic]}}",
        "  - name: another panic",
        f"    signature: {_flow(other)}", *_kernel_keys(incident), "    expect: {verdict: none}",
    ]  # fmt: skip
    return DraftedRule(name, "\n".join(rule) + "\n", "\n".join(test) + "\n")


def _where(event: Signature, tables: Tables) -> tuple[str, str] | None:
    """The fact and the function by which the rule is found: where the CPU stood, or whom it worked for."""
    culprit = event.culprit.symbol if event.culprit else None
    own = event.symbol if event.symbol and culprit in (None, event.symbol) else None
    if own is not None and not tables.helpers.is_helper(own, event.kind):
        return "symbol", own
    return ("culprit", culprit) if culprit else None


def _id(event: Signature, function: str) -> str:
    module = event.culprit.module if event.culprit else event.module
    words = [module or "", function, event.kind]
    text = "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words if word)
    parts = text.split("-")
    # "xen-netfront-xennet-poll": a word that repeats the one before it says nothing
    kept = [part for i, part in enumerate(parts) if part and (i == 0 or part != parts[i - 1])]
    return "-".join(kept)[:80].strip("-")


def _head(name: str, event: Signature, function: str, incident: Incident, today: str) -> list[str]:
    module = event.culprit.module if event.culprit else event.module
    place = f"{function}() of {module}" if module else f"{function}()"
    callers = [frame.symbol for frame in event.trace if frame.reliable and frame.symbol != function][:_CALLERS]
    said = f"The kernel reports a {event.kind} in {place}"
    said += f", called from {', then '.join(callers)}." if callers else "."
    return _preamble(name, said, today)


def _preamble(name: str, said: str, today: str) -> list[str]:
    return [
        "format: 1",
        f"id: {name}",
        f'title: "{TODO}: what goes wrong, in one line"',
        "status: test",
        "severity: high  # guess: high is for crashes",
        f'created: "{today}"',
        "description: |",
        f"  {said}",
        "  (Drafted from one crash. Say what goes wrong and when, for an engineer at three in the morning.)",
    ]


def _signature(event: Signature, fact: str, function: str, tables: Tables) -> list[str]:
    lines = ["signature:", "  all:", f"    - kind: {event.kind}"]
    if fact == "symbol":
        lines.append(f"    - symbol: {_plain(function)}  # guess: the bug is where the CPU stood")
    else:
        lines.append(f"    - culprit: {_plain(function)}  # guess: the first function that is no helper")
    lines.append(
        "    # More conditions that this crash fulfils; take what your bug needs, with a case that decides it:"
    )
    callers = _callers(event, function, tables)
    if callers:
        named = ", ".join(_plain(name) for name in (function, *callers))
        lines.append(f"    # - frame: {{in-order: [{named}]}}")
    if event.kind == "null-deref" and event.address is not None:
        lines.append(
            f"    # - address: 0x{event.address:x}  # offset of the member in its struct: the same in one series"
        )
    if event.access is not None:
        lines.append(f"    # - access: {event.access}")
    if event.context != "unknown":
        lines.append(f"    # - context: {event.context}")
    if event.source_line:
        file = event.source_line.rpartition(":")[0] or event.source_line
        lines.append(f"    # - source-line: {{prefix: {json.dumps(file + ':')}}}")
    module = event.culprit.module if event.culprit and fact == "culprit" else event.module
    if module:
        key = "culprit-module" if fact == "culprit" else "module"
        lines.append(f"    # - {key}: {_plain(module)}  # would exclude kernels that have it built in")
    return lines if lines[-1].startswith("    # -") else lines[:-1]


def _callers(event: Signature, function: str, tables: Tables) -> list[str]:
    """The nearest callers that are no helpers, innermost first."""
    names = [frame.symbol for frame in event.trace if frame.reliable]
    if function in names:
        names = names[names.index(function) + 1 :]
    dispatch = re.compile(
        f"(?:{tables.helpers.dispatchers or '(?!)'})|(?:{tables.helpers.outer_dispatchers or '(?!)'})"
    )
    found: list[str] = []
    for name in names:
        if dispatch.fullmatch(name) or len(found) == 2:
            break  # what called a dispatcher is anybody's
        if name != function and not tables.helpers.is_helper(name, event.kind):
            found.append(name)
    return found


def _plain(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][\w.-]*", text) else json.dumps(text)


def _line_of(incident: Incident, product: Product) -> dict[str, str] | None:
    """What binds a range to the kernel's line of its product; None if that line is not known."""
    if product.id == UPSTREAM:
        parsed = upstream.parse(incident.kernel.release or "")
        return {"branch": parsed.branch} if parsed is not None and parsed.is_stable else {}
    if incident.kernel.stream is not None and (product.has_several_streams or product.streams):
        return {"stream": incident.kernel.stream}
    return None if product.has_several_streams and not product.sequential else {}


def _affected(incident: Incident, product: Product | None) -> list[str]:
    release = incident.kernel.release or "an unknown release"
    bound = _line_of(incident, product) if product is not None else None
    if product is None or bound is None:
        return [
            f"# affected: the vendor's line of {release} is not known to kb/products.yaml, so the verdict will be",
            "# `possible`. Name a product and its versions here if you know better.",
            "references:",
            f'  - "{TODO}: where this is known from: a ticket, a mail, a commit"',
        ]
    where = "".join(f'{key}: "{value}", ' for key, value in bound.items())
    return [
        "affected:",
        f"  - product: {product.id}",
        "    ranges:",
        "      # guess: introduced \"0\" means that every version before the fix has the bug",
        f'      - {{{where}introduced: "0", fixed: "{TODO}: first version with the fix; or remove this key"}}',
        f"    source: one crash on {release}; where the fixed version is from is to be added",
        "# fixes:",
        '#   - {commit: "12 or more hex digits", title: "subject of the commit"}',
    ]  # fmt: skip


def _test(
    name: str, incident: Incident, event: Signature, fact: str, function: str, product: Product | None, tables: Tables
) -> str:
    verdict = "likely" if product is not None and _line_of(incident, product) is not None else "possible"
    other = "warning" if event.kind != "warning" else "bug"
    kernel = _kernel_keys(incident)
    own = [f"    {line}" for line in _own_case(incident, event, fact, tables)]
    near = {"kind": other, "symbol": function}
    far = {"kind": event.kind, "symbol": "acme_unrelated_function"}
    lines = [
        "format: 1", f"rule: {name}", "cases:",
        "  - name: the crash that this rule was drafted from", *own, *(kernel if "log: |" not in own[0] else []),
        f"    expect: {{verdict: {verdict}, evidence: [kind, {fact}]}}",
        "  - name: another kind of crash in the same function",
        f"    signature: {_flow(near)}", *_kernel_keys(incident), "    expect: {verdict: none}",
        "  - name: the same kind of crash in another function",
        f"    signature: {_flow(far)}", *_kernel_keys(incident), "    expect: {verdict: none}",
    ]  # fmt: skip
    if "log: |" in own[0] and _loses_kernel(incident, event, tables):
        position = next(i for i, line in enumerate(lines) if line.startswith("    expect: "))
        lines[position:position] = kernel
    return "\n".join(lines) + "\n"


def _kernel_keys(incident: Incident) -> list[str]:
    kernel = incident.kernel
    found = []
    if kernel.release:
        found.append(f"    release: {json.dumps(kernel.release)}")
    if kernel.package_version:
        found.append(f"    package-version: {json.dumps(kernel.package_version)}")
    return found


def _flow(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_plain(value)}" for key, value in values.items()) + "}"


def excerpt(incident: Incident, event: Signature) -> list[str]:
    """The event's own lines, redacted, without what YAML cannot hold."""
    hosts = [incident.machine.hostname] if incident.machine.hostname else []
    redactor = Redactor(hosts, protected=_needed(incident, event))
    lines = [re.sub(r"[^\x20-\x7e\xa0-\ud7ff]", "?", line.replace("\t", "    ")) for line in event.text or ()]
    return redactor.redact("\n".join(line.rstrip() for line in lines[:_MAX_LINES])).split("\n")


def _needed(incident: Incident, event: Signature) -> list[str]:
    """Names that the crash is recognised by, which redaction must leave alone."""
    frames = [frame.symbol for frame in (*event.trace, *(f for task in event.tasks for f in task.trace))]
    modules = [frame.module for frame in event.trace if frame.module]
    own = [event.symbol, event.module, event.comm, incident.kernel.release, incident.machine.hardware]
    return [*(name for name in own if name), *frames, *modules, *(event.modules or ())]


def _reread(incident: Incident, event: Signature, tables: Tables) -> tuple[Incident, Signature] | None:
    """The excerpt, read again: None if it does not show the same crash."""
    from kbmatch.collectors.logs.console import read_log

    if not event.text:
        return None
    reading = read_log("\n".join(excerpt(incident, event)).encode())
    events = assign_culprits(reading.events, tables.helpers)
    found = next((e for e in events if _face(e) == _face(event)), None)
    return None if found is None else (replace(incident, kernel=reading.kernel), found)


def _face(event: Signature) -> tuple[object, ...]:
    return (event.kind, event.symbol, event.culprit.symbol if event.culprit else None)


def _own_case(incident: Incident, event: Signature, fact: str, tables: Tables) -> list[str]:
    lines = excerpt(incident, event)
    if _reread(incident, event, tables) is not None and lines[0][:1] not in (" ", ""):
        return ["log: |", *(f"  {line}" if line else "" for line in lines)]
    values: dict[str, str] = {"kind": event.kind}
    if event.symbol:
        values["symbol"] = event.symbol
    shown = _flow(values)[:-1]
    trace = [frame.symbol for frame in event.trace if frame.reliable][:24]
    if trace:
        shown += f", trace: [{', '.join(_plain(name) for name in trace)}]"
    return [f"signature: {shown}}}"]


def _loses_kernel(incident: Incident, event: Signature, tables: Tables) -> bool:
    """Whether the excerpt alone would not tell which kernel it is."""
    again = _reread(incident, event, tables)
    if again is None:
        return False
    kernel = tables.products.identify(again[0].kernel)
    own = incident.kernel
    return (kernel.release, kernel.product, kernel.stream, kernel.package_version) != (
        own.release, own.product, own.stream, own.package_version,
    )  # fmt: skip
