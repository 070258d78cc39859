"""Reads the tests that stand beside a rule: <id>.test.yaml, cases of an input and what the rule must say of it.

    format: 1
    rule: xen-netfront-rsp-cons-sentinel
    cases:
      - name: the log alone
        log: |                      # or signature: {kind: ..., symbol: ..., trace: [...]}
          [    1.0] BUG: ...
        release: "4.14.35-1902.5.2.el7uek.x86_64"      # in place of the log's; so are the other keys of CASE_KEYS
        state:                      # what probes would have read
          xen-netfront.rx-rings: {complete: true, records: [{rsp-cons: 0xffffffff}]}
        expect: {verdict: confirmed, version: "4.14.35-1902.7.0", conflict: false, evidence: [kind, symbol]}

`verdict: none` means that the rule must not fit. At least one case must be of that kind, and one must fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbmatch.engine.document import Mapping, Mark, Node, Problems, Reader, Scalar, Sequence
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.incident import Incident, Kernel, LogText, Machine, ProbeState, Source, StateRecord
from kbmatch.engine.kinds import ACCESSES, CONTEXTS, KINDS
from kbmatch.engine.signature import Frame, HungTask, Signature
from kbmatch.engine.values import dataclass, replace
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.store.yaml_reader import read_yaml

NONE = "none"
VERDICTS: tuple[str, ...] = (NONE, *(verdict.value for verdict in Verdict))
SIGNATURE_TEXTS = ("message", "symbol", "module", "comm", "source-line", "code")
SIGNATURE_NUMBERS = ("address", "offset", "size", "cpu", "pid")
SIGNATURE_LISTS = ("trace", "text", "modules", "registers", "tasks")
SIGNATURE_KEYS = ("kind", "access", "context", *SIGNATURE_TEXTS, *SIGNATURE_NUMBERS, *SIGNATURE_LISTS)
KERNEL_KEYS = ("release", "package-version", "arch", "version", "taint", "command-line")
CASE_KEYS = ("name", "log", "signature", *KERNEL_KEYS, "hardware", "hypervisor", "state", "expect")
EXPECT_KEYS = ("verdict", "version", "conflict", "evidence")
TASK_KEYS = ("comm", "pid", "seconds", "trace")


@dataclass(frozen=True, slots=True)
class Case:
    """One case: an incident and what the rule must say of it.

    `version` None leaves the version open; `evidence` are facts (with their values, or None for any) that the finding
    must cite.
    """

    name: str
    incident: Incident
    verdict: str
    version: str | None
    conflict: bool | None
    evidence: tuple[tuple[str, int | str | None], ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class RuleTest:
    """The cases of one rule; `mark` is where the file names the rule."""

    rule: str
    cases: tuple[Case, ...]
    mark: Mark


def path_of_test(rule_path: Path) -> Path:
    """The test file that belongs to a rule file."""
    return rule_path.with_name(f"{rule_path.stem}.test.yaml")


def load_rule_test(path: Path) -> RuleTest:
    """The test file's cases. Raises KnowledgeError with everything wrong in it."""
    problems = Problems()
    node = read_yaml(path)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-test", "a test file holds one mapping with the key 'format'")
        raise KnowledgeError(problems.diagnostics)
    reader = Reader(node, problems, "a test")
    reader.check_keys(("format", "rule", "cases"), ("format", "rule", "cases"))
    if (version := reader.integer("format")) is not None and version != 1:
        problems.add(node.get("format") or node, "format", "this kbmatch reads tests of format 1")
    rule = reader.text("rule") or ""
    named = node.get("rule") or node
    if rule and path.name != f"{rule}.test.yaml":
        problems.add(named, "test-rule", f"this file tests {path.name.removesuffix('.test.yaml')!r}, not {rule!r}")
    cases = tuple(_case(item, problems) for item in reader.mappings("cases"))
    place = next((name for name, _ in node.entries if name.value == "cases"), node)
    if not any(case.verdict == NONE for case in cases):
        problems.add(place, "no-negative", f"at least one case must expect verdict: {NONE}")
    if not problems.diagnostics and all(case.verdict == NONE for case in cases):
        problems.add(place, "no-positive", "at least one case must expect the rule to fit")
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return RuleTest(rule, cases, named.mark)


def _case(node: Mapping, problems: Problems) -> Case:
    reader = Reader(node, problems, "a case")
    reader.check_keys(CASE_KEYS, ("name", "expect"))
    log = reader.text("log")
    machine = Machine(hardware=reader.text("hardware"), hypervisor=reader.text("hypervisor"))
    events: tuple[Signature, ...]
    text: LogText | None = None
    if log is not None:
        if node.get("signature") is not None:
            problems.add(node.get("signature") or node, "unknown-key", "a case has a log or a signature, not both")
        from kbmatch.collectors.logs.console import read_log

        reading = read_log(log.encode())
        kernel, events = reading.kernel, reading.events
        machine = replace(
            reading.machine,
            hardware=machine.hardware or reading.machine.hardware,
            hypervisor=machine.hypervisor or reading.machine.hypervisor,
        )
        text = LogText(log.encode())
    else:
        kernel = Kernel(arch="x86_64")
        signature = _signature(node.get("signature"), problems)
        events = (signature,) if signature else ()
    given: dict[str, Any] = {key.replace("-", "_"): reader.text(key) for key in KERNEL_KEYS if key != "taint"}
    if node.get("taint") is not None:
        given["taint"] = reader.texts("taint")
    kernel = replace(kernel, **{key: value for key, value in given.items() if value is not None})
    expect = node.get("expect")
    wanted = Reader(expect if isinstance(expect, Mapping) else Mapping((), node.mark), problems, "'expect'")
    wanted.check_keys(EXPECT_KEYS, ("verdict",))
    return Case(
        name=reader.text("name") or "",
        incident=Incident(
            Source("test", "console", len(log or "")), kernel, machine, events, _state(node.get("state"), problems),
            log=text,
        ),
        verdict=wanted.one_of("verdict", VERDICTS) or NONE,
        version=wanted.text("version"),
        conflict=_flag(wanted, "conflict"),
        evidence=_evidence(wanted.node.get("evidence"), problems),
        mark=node.mark,
    )  # fmt: skip


def _flag(reader: Reader, key: str) -> bool | None:
    node = reader.node.get(key)
    if node is None or (isinstance(node, Scalar) and isinstance(node.value, bool)):
        return None if node is None else bool(node.value)
    reader.problems.add(node, "bad-value", f"{key!r} must be true or false")
    return None


def _evidence(node: Node | None, problems: Problems) -> tuple[tuple[str, int | str | None], ...]:
    if node is None:
        return ()
    if isinstance(node, Sequence):
        return tuple((str(item.value), None) for item in node.items if isinstance(item, Scalar))
    if isinstance(node, Mapping):
        return tuple((str(name.value), _plain(value, problems)) for name, value in node.entries)
    problems.add(node, "bad-value", "'evidence' is a list of facts, or maps facts to values")
    return ()


def _signature(node: Node | None, problems: Problems) -> Signature | None:
    if not isinstance(node, Mapping):
        if node is not None:
            problems.add(node, "bad-value", "a signature is {kind: ..., symbol: ...}")
        return None
    reader = Reader(node, problems, "a signature")
    reader.check_keys(SIGNATURE_KEYS, ("kind",))
    values: dict[str, Any] = {key.replace("-", "_"): reader.text(key) for key in SIGNATURE_TEXTS if key != "message"}
    values |= {key: reader.integer(key) for key in SIGNATURE_NUMBERS}
    registers = node.get("registers")
    numbers = registers.entries if isinstance(registers, Mapping) else ()
    return Signature(
        reader.one_of("kind", KINDS) or "other",
        reader.text("message") or "",
        fatal=True,
        access=reader.one_of("access", ACCESSES),
        context=reader.one_of("context", CONTEXTS) or "unknown",
        trace=_trace(reader),
        text=reader.texts("text") or None,
        modules=reader.texts("modules") or None,
        registers={str(k.value): v.value for k, v in numbers if isinstance(v, Scalar) and type(v.value) is int},
        tasks=tuple(_task(item, problems) for item in reader.mappings("tasks")),
        **values,
    )


def _trace(reader: Reader) -> tuple[Frame, ...]:
    return tuple(Frame(name, name) for name in reader.texts("trace"))


def _task(node: Mapping, problems: Problems) -> HungTask:
    reader = Reader(node, problems, "a task")
    reader.check_keys(TASK_KEYS)
    return HungTask(reader.text("comm"), reader.integer("pid"), reader.integer("seconds"), _trace(reader))


def _state(node: Node | None, problems: Problems) -> dict[str, ProbeState]:
    found: dict[str, ProbeState] = {}
    if node is None:
        return found
    if not isinstance(node, Mapping):
        problems.add(node, "bad-value", "'state' maps a probe to {complete: true, records: [...]}")
        return found
    for name, value in node.entries:
        if not isinstance(value, Mapping):
            problems.add(value, "bad-value", "a probe's state is {complete: true, records: [...]}")
            continue
        reader = Reader(value, problems, "a state")
        reader.check_keys(("complete", "records"), ("complete", "records"))
        records = tuple(
            StateRecord(0, {str(k.value): _plain(v, problems) for k, v in record.entries})
            for record in reader.mappings("records")
        )
        found[str(name.value)] = ProbeState(_flag(reader, "complete") is True, "memory", records)
    return found


def _plain(node: Node, problems: Problems) -> int | str:
    if isinstance(node, Scalar) and isinstance(node.value, (int, str)):
        return node.value
    problems.add(node, "bad-value", "this must be a number or a string")
    return 0
