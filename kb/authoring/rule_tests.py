"""Runs the tests that stand beside a rule: <id>.test.yaml, cases of an input and the verdict expected.

    format: 1
    rule: xen-netfront-rsp-cons-sentinel
    cases:
      - name: the log alone
        log: |                      # or signature: {kind: ..., symbol: ..., address: ...}
          [    1.0] BUG: ...
        release: "4.14.35-1902.5.2.el7uek.x86_64"      # in place of the log's
        state:                      # what probes would have read
          xen-netfront.rx-rings: {complete: true, records: [{rsp-cons: 0xffffffff}]}
        expect: {verdict: confirmed, version: "4.14.35-1902.7.0", conflict: false}

`verdict: none` means that the rule must not fit. At least one case must be of that kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kbmatch.collectors.logs.console import read_log
from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.document import Mapping, Node, Problems, Reader, Scalar
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.facts import FACTS
from kbmatch.engine.incident import Incident, Kernel, ProbeState, Source, StateRecord
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.signature import Signature
from kbmatch.engine.verdict import Verdict
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.yaml_reader import read_yaml

NONE = "none"
_VERDICTS = (NONE, *(verdict.value for verdict in Verdict))
_SIGNATURE_KEYS = ("kind", "message", "symbol", "module", "address", "access", "comm", "offset", "size", "source-line")


@dataclass(frozen=True, slots=True)
class Case:
    """One case: an incident and what the rule must say of it. `version` None leaves the version open."""

    name: str
    incident: Incident
    verdict: str
    version: str | None
    conflict: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class RuleTest:
    """The cases of one rule."""

    rule: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that came out otherwise; `text` says what was expected and what was found, with file and line."""

    case: Case
    text: str


def load_rule_test(path: Path) -> RuleTest:
    """The test file's cases. Raises KnowledgeError with everything wrong in it."""
    problems = Problems()
    node = read_yaml(path)
    if not isinstance(node, Mapping):
        problems.add(node, "not-a-test", "a test file holds one mapping with the key 'format'")
        raise KnowledgeError(problems.diagnostics)
    reader = Reader(node, problems, "a test")
    reader.check_keys(("format", "rule", "cases"), ("format", "rule", "cases"))
    rule = reader.text("rule") or ""
    cases = tuple(_case(item, problems) for item in reader.mappings("cases"))
    if not any(case.verdict == NONE for case in cases):
        problems.add(node, "no-negative", f"at least one case must expect verdict: {NONE}")
    if problems.diagnostics:
        raise KnowledgeError(problems.diagnostics)
    return RuleTest(rule, cases)


def run_rule_test(test: RuleTest, knowledge: KnowledgeBase) -> Iterator[Failure]:
    """The cases that came out otherwise than expected."""
    for case in test.cases:
        kernel = knowledge.products.identify(case.incident.kernel)
        events = assign_culprits(case.incident.events, knowledge.helper_frames)
        diagnosis = diagnose(replace(case.incident, kernel=kernel, events=events), knowledge, knowledge.products)
        found = next((f for f in diagnosis.findings if f.rule.id == test.rule), None)
        verdict = found.verdict.value if found else NONE
        got = [verdict]
        wanted = [case.verdict]
        if case.version is not None:
            got.append(str(found.recommend.version if found else None))
            wanted.append(case.version)
        if found is not None:
            got.append("conflict" if found.version_conflict else "no conflict")
            wanted.append("conflict" if case.conflict else "no conflict")
        if got[: len(wanted)] != wanted[: len(got)]:
            yield Failure(
                case,
                f"{case.file}:{case.line}: {test.rule}: {case.name}: expected {', '.join(wanted)}; "
                f"found {', '.join(got)}",
            )


def _case(node: Mapping, problems: Problems) -> Case:
    reader = Reader(node, problems, "a case")
    reader.check_keys(("name", "log", "signature", "release", "state", "expect"), ("name", "expect"))
    log = reader.text("log")
    if log is not None:
        reading = read_log(log.encode())
        kernel, events = reading.kernel, reading.events
    else:
        kernel, events = Kernel(arch="x86_64"), tuple(_signature(node.get("signature"), problems))
    if (release := reader.text("release")) is not None:
        kernel = replace(kernel, release=release)
    expect = node.get("expect")
    wanted = Reader(expect if isinstance(expect, Mapping) else Mapping((), node.mark), problems, "'expect'")
    wanted.check_keys(("verdict", "version", "conflict"), ("verdict",))
    conflict = wanted.node.get("conflict")
    return Case(
        name=reader.text("name") or "",
        incident=Incident(
            Source("test", "console", len(log or "")), kernel, events=events, state=_state(node.get("state"), problems)
        ),
        verdict=wanted.one_of("verdict", _VERDICTS) or NONE,
        version=wanted.text("version"),
        conflict=isinstance(conflict, Scalar) and conflict.value is True,
        file=node.mark.file,
        line=node.mark.line,
    )


def _signature(node: Node | None, problems: Problems) -> Iterator[Signature]:
    if not isinstance(node, Mapping):
        return
    reader = Reader(node, problems, "a signature")
    reader.check_keys(_SIGNATURE_KEYS, ("kind",))
    numbers = {key for key in _SIGNATURE_KEYS if key in FACTS and FACTS[key].type == "integer"}
    yield Signature(
        reader.one_of("kind", KINDS) or "other",
        reader.text("message") or "",
        fatal=True,
        **{  # type: ignore[arg-type]  # the types are those of FACTS
            key.replace("-", "_"): reader.integer(key) if key in numbers else reader.text(key)
            for key in _SIGNATURE_KEYS
            if key not in ("kind", "message")
        },
    )


def _state(node: Node | None, problems: Problems) -> dict[str, ProbeState]:
    found: dict[str, ProbeState] = {}
    if not isinstance(node, Mapping):
        return found
    for name, value in node.entries:
        if not isinstance(value, Mapping):
            problems.add(value, "bad-value", "a probe's state is {complete: true, records: [...]}")
            continue
        reader = Reader(value, problems, "a state")
        reader.check_keys(("complete", "records"), ("complete", "records"))
        complete = value.get("complete")
        records = tuple(
            StateRecord(0, {str(k.value): _plain(v, problems) for k, v in record.entries})
            for record in reader.mappings("records")
        )
        found[str(name.value)] = ProbeState(isinstance(complete, Scalar) and complete.value is True, "memory", records)
    return found


def _plain(node: Node, problems: Problems) -> int | str:
    if isinstance(node, Scalar) and isinstance(node.value, (int, str)):
        return node.value
    problems.add(node, "bad-value", "a record's value is a number or a string")
    return 0
