"""The knowledge base: folders of rules, drafts, errors, and an index that agrees with trying every rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.incident import Incident, Kernel, ProbeState, Source, StateRecord
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Frame, Signature
from kbmatch.kb.store.knowledge import KnowledgeBase

RULE = """\
format: 1
id: {id}
title: {id}
status: {status}
severity: low
created: "2026-11-23"
description: x
signature: {signature}
"""


def write(folder: Path, id_: str, signature: str, status: str = "stable") -> Path:
    path = folder / f"{id_}.yaml"
    path.write_text(RULE.format(id=id_, status=status, signature=signature))
    return path


def test_rules_of_a_further_folder_join_the_shipped_ones(tmp_path: Path) -> None:
    write(tmp_path, "mine", "{symbol: foo}")
    knowledge = KnowledgeBase([tmp_path])
    assert knowledge.get("mine") is not None
    assert knowledge.stamp.rules == KnowledgeBase().stamp.rules + 1
    assert knowledge.stamp.overrides == (str(tmp_path),)
    assert knowledge.stamp.digest != KnowledgeBase().stamp.digest


def test_a_rule_is_found_by_its_id_and_by_its_cve_in_any_case() -> None:
    knowledge = KnowledgeBase()
    for name in ("xen-netfront-null-sring", "CVE-2022-48969", "cve-2022-48969"):
        rule = knowledge.get_any(name)
        assert rule is not None
        assert rule.id == "xen-netfront-null-sring"
    assert knowledge.get_any("cve-1999-0000") is None


def test_drafts_take_part_only_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "idea", "{symbol: foo}", status="draft")
    write(tmp_path, "gone", "{symbol: foo}", status="withdrawn")
    assert KnowledgeBase([tmp_path]).get("idea") is None
    drafts = KnowledgeBase([tmp_path], drafts=True)
    assert drafts.get("idea") is not None
    assert drafts.get("gone") is None


def test_a_rule_may_not_take_the_id_of_another(tmp_path: Path) -> None:
    write(tmp_path, "xen-netfront-null-sring", "{symbol: foo}")
    with pytest.raises(KnowledgeError, match=r"stands already in .*kb/rules"):
        _ = KnowledgeBase([tmp_path]).rules


def test_everything_wrong_in_any_file_is_reported_together(tmp_path: Path) -> None:
    write(tmp_path, "one", "{symbl: foo}")
    write(tmp_path, "two", "{kind: boom}")
    (tmp_path / "three.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(KnowledgeError) as error:
        _ = KnowledgeBase([tmp_path]).rules
    assert {Path(d.file).stem for d in error.value.diagnostics} == {"one", "two", "three"}


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="this is no folder"):
        _ = KnowledgeBase([tmp_path / "absent"]).rules


SYMBOLS = ("foo", "bar", "baz")
LEAF = st.sampled_from(
    [f"{{{fact}: {symbol}}}" for fact in ("symbol", "frame", "culprit") for symbol in SYMBOLS]
    + ["{kind: bug}", "{address: {lt: 9}}"]
)
SIGNATURE = st.one_of(
    st.sampled_from([f"{{symbol: {s}}}" for s in SYMBOLS]),
    st.builds(
        lambda first, rest: f"{{all: [{{symbol: {first}}}, {', '.join(rest)}]}}",
        st.sampled_from(SYMBOLS),
        st.lists(LEAF, min_size=1, max_size=2),
    ),
    st.builds(lambda first, rest: f"{{all: [{{frame: {first}}}, {{not: {rest}}}]}}", st.sampled_from(SYMBOLS), LEAF),
)
EVENT = st.builds(
    Signature,
    kind=st.sampled_from(KINDS[:10]),
    message=st.just("m"),
    fatal=st.booleans(),
    symbol=st.sampled_from([*SYMBOLS, "other", None]),
    address=st.sampled_from([None, 8, 44]),
    trace=st.lists(st.sampled_from(SYMBOLS).map(lambda s: Frame(s, s)), max_size=2).map(tuple),
)


NETFRONT = ("xen-netfront-rsp-cons-sentinel", "xen-netfront-rsp-cons-behind", "xen-netfront-null-sring")


class Naive:
    """Tries every rule on every crash."""

    def __init__(self, rules: dict[str, Rule]) -> None:
        self.rules = rules

    def candidates(self, keys: object, probes: object) -> list[Rule]:
        return list(self.rules.values())

    def get(self, rule_id: str) -> Rule | None:
        return self.rules.get(rule_id)


@settings(max_examples=60, deadline=None)
@given(
    signatures=st.lists(SIGNATURE, min_size=1, max_size=6),
    events=st.lists(EVENT, max_size=3).map(tuple),
    rings=st.lists(st.integers(0, 0xFFFFFFFF), max_size=2),
)
def test_the_index_agrees_with_trying_every_rule(
    tmp_path_factory: pytest.TempPathFactory,
    signatures: list[str],
    events: tuple[Signature, ...],
    rings: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("rules")
    for number, signature in enumerate(signatures):
        write(folder, f"r{number}", signature)
    knowledge = KnowledgeBase([folder])
    records = tuple(StateRecord(0, {"rsp-cons": ring, "unconsumed": 3}) for ring in rings)
    state = {"xen-netfront.rx-rings": ProbeState(True, "memory", records)} if rings else {}
    incident = Incident(Source("x", "console", 0), Kernel(release="6.1.0"), events=events, state=state)

    def seen(rules: KnowledgeBase | Naive) -> set[tuple[str, int | None, str]]:
        found = diagnose(incident, rules, knowledge.products).findings
        # a rule of which no selective leaf is true is no candidate; tried nevertheless, it knows too little
        return {(f.rule.id, f.event, f.verdict.value) for f in found if f.verdict.value != "incomplete"}

    # the mined rules know none of these functions, and loading all of them takes seconds
    ids = [*(f"r{number}" for number in range(len(signatures))), *NETFRONT]
    assert seen(knowledge) == seen(Naive({rule_id: rule for rule_id in ids if (rule := knowledge.get(rule_id))}))


def test_candidates_are_looked_up_by_the_index_and_not_by_reading_the_whole_table() -> None:
    """A scan would make each diagnosis slower with every rule; SQLite's own plan tells."""
    knowledge = KnowledgeBase()
    connection = knowledge.layers[0].connection
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    knowledge.candidates([("symbol", "xennet_poll"), ("frame", "net_rx_action")], ["xen-netfront.rx-rings"])
    _ = knowledge.stamp
    connection.set_trace_callback(None)
    queries = [query for query in asked if query.startswith("SELECT")]
    assert queries
    for query in queries:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert not [step for step in plan if step.startswith("SCAN") and "CONSTANT" not in step], (query, plan)
