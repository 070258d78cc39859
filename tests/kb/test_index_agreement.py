"""Trying every rule and looking rules up by fact say the same, on 10,000 random crashes."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbmatch.engine.culprit import assign_culprits
from kbmatch.engine.diagnose import SceneLookup, diagnose
from kbmatch.engine.facts import Scene
from kbmatch.engine.incident import Incident, Kernel, Source
from kbmatch.engine.logic import Truth
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Frame, HungTask, Signature
from kbmatch.kb.store.knowledge import KnowledgeBase

SYMBOLS = tuple(f"lab_{letter}" for letter in "abcdefgh")
KINDS = ("bug", "gpf", "null-deref", "hung-task")
RULE = """\
format: 1
id: {id}
title: x
status: stable
severity: low
created: "2026-11-23"
description: x
signature: {signature}
"""


def tree(rng: random.Random, depth: int = 0) -> str:
    name = rng.choice(SYMBOLS)
    leaves = (
        f"{{symbol: {name}}}", f"{{symbol: [{name}, {rng.choice(SYMBOLS)}]}}", f"{{frame: {name}}}",
        f"{{culprit: {name}}}",
        f"{{frame: {{in-order: [{name}, {rng.choice(SYMBOLS)}]}}}}",
        f"{{frame: {{adjacent: [{name}, {rng.choice(SYMBOLS)}]}}}}", f"{{task-frame: {name}}}",
        f"{{any-task: {{all: [{{task-frame: {name}}}, {{task-comm: a}}]}}}}",
        f"{{kind: {rng.choice(KINDS)}}}", "{address: {lt: 0x20}}", f"{{frame: {{prefix: {name[:5]}}}}}",
    )  # fmt: skip
    if depth > 2 or rng.random() < 0.4:
        return rng.choice(leaves)
    children = [tree(rng, depth + 1) for _ in range(rng.randint(2, 3))]
    match rng.choice(("all", "all", "any", "not", "at-least")):
        case "not":
            return f"{{not: {children[0]}}}"
        case "at-least":
            return f"{{at-least: {{count: {rng.randint(1, len(children))}, of: [{', '.join(children)}]}}}}"
        case combinator:
            return f"{{{combinator}: [{', '.join(children)}]}}"


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """Twenty-five random rules; those that the loader refuses (not selective) are thrown away."""
    from kbmatch.engine.document import Problems
    from kbmatch.engine.rule_loader import load_rule
    from kbmatch.kb.store.yaml_reader import parse_yaml

    folder = tmp_path_factory.mktemp("rules")
    products = KnowledgeBase().products
    rng = random.Random(17)
    number = 0
    while number < 25:
        text = RULE.format(id=f"r{number}", signature=tree(rng))
        if load_rule(parse_yaml(text, f"r{number}.yaml"), Problems(), products, {}) is not None:
            (folder / f"r{number}.yaml").write_text(text)
            number += 1
    return KnowledgeBase([folder])


NAMES = st.sampled_from([*SYMBOLS, "memcpy", "vfs_read"])
FRAMES = st.lists(st.tuples(NAMES, st.booleans()), max_size=4).map(
    lambda names: tuple(Frame(name, name, reliable=reliable) for name, reliable in names)
)
EVENT = st.builds(
    Signature,
    kind=st.sampled_from(KINDS),
    message=st.just("m"),
    symbol=NAMES | st.none(),
    address=st.sampled_from([None, 8, 0x40]),
    trace=FRAMES,
    tasks=st.lists(st.builds(HungTask, comm=st.sampled_from("ab"), trace=FRAMES), max_size=2).map(tuple),
)
SEEN = {"rules": 0}


@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(EVENT)
def test_the_index_agrees_with_trying_every_rule_on_10000_signatures(
    knowledge: KnowledgeBase, event: Signature
) -> None:
    own = KNOWN.setdefault(id(knowledge), [rule for rule in knowledge.rules.values() if rule.id.startswith("r")])
    events = assign_culprits((event,), knowledge.helper_frames)
    incident = Incident(Source("x", "console", 0), Kernel(release="6.1.0"), events=events)

    found = diagnose(incident, knowledge, knowledge.products).findings
    by_index = {f.rule.id for f in found if f.verdict.value != "incomplete" and f.rule.id.startswith("r")}
    # a rule whose signature is true speaks, whatever the version says; tried here without asking the index
    lookup = SceneLookup(Scene(incident, events[0]))
    naive = {rule.id for rule in own if rule.signature.judge(lookup).truth is Truth.TRUE}
    SEEN["rules"] += len(naive)
    assert by_index == naive


KNOWN: dict[int, list[Rule]] = {}


def test_the_random_crashes_did_meet_the_random_rules() -> None:
    assert SEEN["rules"] > 5_000
