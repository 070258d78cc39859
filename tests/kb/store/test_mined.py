"""Mined rules in their files: what they become, overrides, mistakes, vendors' versions by CVE id."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.document import Problems
from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.incident import Incident, Kernel, Source
from kbmatch.engine.signature import Culprit, Frame, Signature
from kbmatch.kb.store.files import SHIPPED, find_files
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.mined import magnets, rarity, read_mined

MINED = """\
format: 1
subsystem: drivers-acme
rules:
  - id: cve-2099-10001
    title: "acme: do not free twice"
    status: test
    tier: production
    anchor: [acme]
    crashes:
      - {kind: null-deref, blamed: [acme_clean], frames: [acme_poll, acme_irq]}
    ranges: ["4.4 4.19.7 0123456789ab", "4.4 5.1 abcdef012345"]
  - id: cve-2099-10002
    title: "acme: count rings"
    status: test
    tier: production
    crashes:
      - {kind: bug, blamed: [acme_count], frames: [acme_poll, acme_core]}
    ranges: ["5.10 5.12 0123456789cd"]
"""
ADVISORIES = """\
format: 1
source: a test
fixed:
  CVE-2099-10001: ["rhel8 4.18.0-553.1.1.el8_10 ALSA-2099:1"]
  CVE-2099-10002: ["rhel8 4.18.0-553.2.1.el8_10 ALSA-2099:2"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mined").mkdir()
    (tmp_path / "advisories").mkdir()
    (tmp_path / "mined" / "drivers-acme.yaml").write_text(MINED)
    (tmp_path / "advisories" / "test.yaml").write_text(ADVISORIES)
    return tmp_path


def verdict(folder: Path, release: str, names: tuple[str, ...], kind: str) -> tuple[str, str | None]:
    knowledge = KnowledgeBase([folder])
    frames = tuple(Frame(name, f"{name}+0x1/0x2", 1, 2, "") for name in names)
    event = Signature(kind, "x", fatal=True, symbol=names[0], trace=frames, culprit=Culprit(names[0], ""))
    kernel = knowledge.products.identify(Kernel(release=release, arch="x86_64"))
    found = diagnose(Incident(Source("x", "console", 0), kernel, events=(event,)), knowledge, knowledge.products)
    best = found.findings[0]
    return best.verdict.value, best.recommend.version or best.version.fixed


CLEAN = ("acme_clean", "acme_poll", "acme_irq")


def test_a_mined_rule_answers_with_the_fixed_version_of_the_branch(folder: Path) -> None:
    assert verdict(folder, "4.19.3", CLEAN, "null-deref") == ("likely", "4.19.7")
    assert verdict(folder, "4.19.7", CLEAN, "null-deref") == ("already-fixed", "4.19.7")


def test_a_vendors_kernel_is_answered_with_the_vendors_version(folder: Path) -> None:
    release = "4.18.0-477.10.1.el8_8.x86_64"
    assert verdict(folder, release, CLEAN, "null-deref") == ("likely", "4.18.0-553.1.1.el8_10")
    assert verdict(folder, "4.18.0-553.1.1.el8_10.x86_64", CLEAN, "null-deref")[0] == "already-fixed"


def test_a_defect_younger_than_the_vendors_base_is_possible_and_the_version_is_named(folder: Path) -> None:
    found = verdict(folder, "4.18.0-477.10.1.el8_8.x86_64", ("acme_count", "acme_poll", "acme_core"), "bug")
    assert found == ("possible", "4.18.0-553.2.1.el8_10")


def test_a_vendor_without_data_is_possible(folder: Path) -> None:
    assert verdict(folder, "5.14.21-150500.55.49-default", CLEAN, "null-deref")[0] == "possible"


def test_an_override_changes_and_drops(folder: Path) -> None:
    (folder / "mined" / "overrides.yaml").write_text(
        "format: 1\noverrides:\n"
        "  - {id: cve-2099-10001, set: {status: draft}, reason: fires too often}\n"
        "  - {id: cve-2099-10002, drop: true, reason: no defect}\n"
    )
    problems = Problems()
    rules = read_mined(find_files(folder).mined, problems)
    assert [(rule.id, rule.status) for rule in rules] == [("cve-2099-10001", "draft")]
    assert not problems.diagnostics


def test_an_override_of_no_rule_is_an_error(folder: Path) -> None:
    (folder / "mined" / "overrides.yaml").write_text(
        "format: 1\noverrides: [{id: cve-2099-9, drop: true, reason: gone}]\n"
    )
    with pytest.raises(KnowledgeError, match="cve-2099-9"):
        KnowledgeBase([folder]).open()


def test_a_mistake_is_named_with_file_and_line(folder: Path) -> None:
    path = folder / "mined" / "drivers-acme.yaml"
    path.write_text(MINED.replace("kind: bug", "kind: bugg"))
    with pytest.raises(KnowledgeError, match=r"drivers-acme\.yaml:17:\d+.*bugg"):
        KnowledgeBase([folder]).open()


def test_rare_functions_weigh_more(folder: Path) -> None:
    rules = read_mined(find_files(folder).mined, Problems())
    rare = rarity(rules)
    assert rare["acme_poll"] < rare["acme_clean"] == 1.0
    assert magnets(rules) == frozenset()


def test_shipped_files_are_small_enough_for_git() -> None:
    sizes = {path.name: path.stat().st_size for path in (SHIPPED / "mined").iterdir()}
    assert max(sizes.values()) < 1 << 20
    assert len(sizes) < 130
