"""Registers, code bytes and the decoded instruction in rules: bound to one build, three-valued."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.engine.code_pattern import parse_code_pattern
from kbmatch.engine.condition_loader import EventVocabulary, load_condition
from kbmatch.engine.diagnose import SceneLookup
from kbmatch.engine.document import Problems
from kbmatch.engine.facts import Scene
from kbmatch.engine.incident import Incident, Kernel, Source
from kbmatch.engine.logic import Truth
from kbmatch.engine.register_facts import unbound_registers
from kbmatch.engine.signature import Instruction, Signature
from kbmatch.kb.store.yaml_reader import read_yaml

CODE = "41 0f b7 54 24 02 98 01 d0 3d 00 10 00 00 0f 87 cf 06 00 00 <8b> 7b 2c 85 ff 0f 85 4f ff ff ff"
PATTERN = "41 0f b7 54 24 02 98 01 d0 3d 00 10 00 00 0f 87 ?? ?? ?? ?? <8b> 7b 2c 85 ff 0f 85 4f ff ff ff"


def judged(tmp_path: Path, text: str, code: str | None = CODE, rbx: int | None = 0) -> Truth:
    (tmp_path / "c.yaml").write_text(text)
    problems = Problems()
    condition = load_condition(read_yaml(tmp_path / "c.yaml"), problems, EventVocabulary())
    assert condition is not None, problems.diagnostics
    event = Signature(
        "null-deref", "m", code=code, registers={"rbx": rbx}, instruction=Instruction("mov", "rbx", -8, True)
    )
    incident = Incident(Source("t", "console", 0), Kernel(arch="x86_64", build_id="ab" * 20), events=(event,))
    return condition.judge(SceneLookup(Scene(incident, event))).truth


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        (f'code: "{PATTERN}"', Truth.TRUE),
        (f'code: "{PATTERN.replace("7b 2c", "7b 30")}"', Truth.FALSE),
        (f'code: "90 {PATTERN}"', Truth.UNKNOWN),  # the line shows fewer bytes than the pattern has
        (f'all: [{{code: "{PATTERN}"}}, {{register-rbx: 0x0}}]', Truth.TRUE),
        (f'all: [{{code: "{PATTERN}"}}, {{register-rbx: {{gt: 0x0}}}}]', Truth.FALSE),
        (f'all: [{{code: "{PATTERN}"}}, {{register-r9: 0x0}}]', Truth.UNKNOWN),
        (f'build-id: "{"ab" * 20}"', Truth.TRUE),
        ("instruction-base: rbx", Truth.TRUE),
        ("instruction-displacement: 0xfffffffffffffff8", Truth.TRUE),
    ],
)
def test_facts_are_judged(tmp_path: Path, text: str, truth: Truth) -> None:
    assert judged(tmp_path, text) is truth


def test_without_a_code_line_nothing_is_known(tmp_path: Path) -> None:
    assert judged(tmp_path, f'code: "{PATTERN}"', code=None) is Truth.UNKNOWN


@pytest.mark.parametrize(
    ("text", "unbound"),
    [
        ("register-rbx: 0x0", 1),
        (f'all: [{{code: "{PATTERN}"}}, {{register-rbx: 0x0}}]', 0),
        (f'all: [{{code: "{PATTERN}"}}, {{any: [{{register-rbx: 0x0}}, {{not: {{register-rcx: 0x0}}}}]}}]', 0),
        (f'any: [{{code: "{PATTERN}"}}, {{register-rbx: 0x0}}]', 1),
        ('all: [{code: "0f 87 <8b> 7b 2c"}, {register-rbx: 0x0}]', 1),
        (f'all: [{{build-id: "{"ab" * 20}"}}, {{register-rbx: 0x0}}, {{register-rdi: 0x0}}]', 0),
        (f'all: [{{not: {{build-id: "{"ab" * 20}"}}}}, {{register-rbx: 0x0}}]', 1),
    ],
)
def test_a_register_needs_a_build_beside_it(tmp_path: Path, text: str, unbound: int) -> None:
    (tmp_path / "c.yaml").write_text(text)
    condition = load_condition(read_yaml(tmp_path / "c.yaml"), Problems(), EventVocabulary())
    assert condition is not None
    assert len(list(unbound_registers(condition))) == unbound


@pytest.mark.parametrize("text", ["", "8b 7b", "<8b> <7b>", "zz <8b>", "8b7b <8b>", "<??>", "<8b> " + "90 " * 300])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hex bytes"):
        parse_code_pattern(text)
