"""The catalogue: every rule is in it, it loads nothing, it is small, and its search works in a real browser."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import chromium, emulate
from kbmatch.cli.kb_catalogue import print_info, write_catalogue
from kbmatch.cli.main import main
from kbmatch.cli.reports.catalogue_page import MAX_BYTES, catalogue_page
from kbmatch.engine.affected import Affected, VersionRange
from kbmatch.engine.condition import Combination, Leaf
from kbmatch.engine.rule import Fix, Rule
from kbmatch.kb.authoring.catalogue import entry_of
from kbmatch.kb.store.knowledge import KnowledgeBase, KnowledgeStamp

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def knowledge() -> KnowledgeBase:
    return KnowledgeBase()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, knowledge: KnowledgeBase) -> Path:
    path = tmp_path_factory.mktemp("catalogue") / "catalogue.html"
    assert write_catalogue(str(path), knowledge) == 0
    return path


def test_every_rule_is_in_it_with_version_counts_and_digest(page: Path, knowledge: KnowledgeBase) -> None:
    text = page.read_text("ascii")
    found = set(re.findall(r'<details class="rule" id="([^"]+)"', text)) | set(re.findall(r"<tr><td>([^<]+)<td>", text))
    assert found == set(knowledge.rules)
    assert html.escape(knowledge.stamp.line()) in text
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", knowledge.stamp.version)
    assert knowledge.stamp.curated == text.count('<details class="rule"')


def test_it_is_small_and_loads_nothing(page: Path) -> None:
    text = page.read_text("ascii")
    assert len(text) < MAX_BYTES
    assert "default-src 'none'" in html.unescape(text)
    assert not re.search(r"<(?:link|img|iframe|object|embed|base)\b|\bsrc=|@import|url\(|\son\w+=", text)
    assert all(url.startswith(("https://", "http://", "#")) for url in re.findall(r'href="([^"]*)"', text))


def test_what_a_rule_says_cannot_break_out(knowledge: KnowledgeBase) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(1)">\x1b[31m'
    rule = Rule(
        "evil", evil, "stable", "low", "2026-11-23", evil, Combination("all", (Leaf("symbol", "is", (evil,)),)),
        affected=(Affected("linux", (VersionRange("0", evil),), evil),), fixes=(Fix("a" * 12, evil),),
        aliases=(evil,), workaround=evil, references=(evil, "javascript:alert(1)"), file="rules/x/evil.yaml",
    )  # fmt: skip
    text = catalogue_page([entry_of(rule, knowledge.products)], knowledge.products, KnowledgeStamp("", 1, "0", ()))
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "\x1b" not in text
    assert 'href="javascript' not in text


def test_another_kind_of_file_and_a_folder_that_is_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", "catalogue", "x.pdf"]) == 2
    assert ".html" in capsys.readouterr().err
    assert main(["kb", "catalogue", str(tmp_path / "no/x.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_index_of_curated_rules_is_up_to_date(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    fresh = tmp_path / "rules.md"
    assert write_catalogue(str(fresh), knowledge) == 0
    assert (ROOT / "docs/rules.md").read_text() == fresh.read_text(), "run: make docs"
    links = re.findall(r"\]\(\.\./([^)]+)\)", fresh.read_text())
    assert len(links) > 100
    assert all((ROOT / link).is_file() for link in links)


def test_info_counts_by_class_and_subsystem(knowledge: KnowledgeBase, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_info(knowledge) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"knowledge of {knowledge.stamp.version}, digest {knowledge.stamp.digest}")
    assert re.search(rf"^ *{knowledge.stamp.rules:,}  rules take part$", out, re.MULTILINE)
    classes = {
        name: int(count) for count, name in re.findall(r"^ {4,}(\d+)  (kernel-bug|not-a-kernel-bug)$", out, re.M)
    }
    assert sum(classes.values()) == knowledge.stamp.curated
    assert re.search(r"^ +4  xen-netfront$|^ +\d+  xen-netfront$", out, re.MULTILINE)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def test_the_search_works_in_a_browser(browser: Any, page: Path, knowledge: KnowledgeBase) -> None:
    emulate(browser, 1280, 900)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri() + "#xen-netfront-rsp-cons-sentinel")
    assert browser.get_log("browser") == []  # nothing was refused by the policy, nothing failed
    found = browser.find_element("id", "found")
    total = len(knowledge.rules)
    assert found.text == f"{total} of {total}"
    assert browser.find_element("id", "xen-netfront-rsp-cons-sentinel").get_attribute("open")

    def search(words: str, **selected: str) -> int:
        browser.execute_script(
            "document.getElementById('words').value = arguments[0];"
            "for (const name of ['tier', 'kind', 'subsystem'])"
            " document.getElementById(name).value = arguments[1][name] || '';"
            "document.getElementById('search').requestSubmit();",
            words,
            selected,
        )
        return int(found.text.split()[0])

    rules = knowledge.rules.values()
    naming = [r for r in rules if "xennet_poll" in str(r) and "2022-48969" in str(r)]
    assert 1 <= search("XENNET_POLL CVE-2022-48969") <= len(naming) + 3  # others may name it as their sibling
    assert search("xennet_poll") >= 3
    assert search("no_such_function_anywhere") == 0
    assert search("", tier="curated") == knowledge.stamp.curated
    assert search("", tier="mined") == total - knowledge.stamp.curated
    outside = sum(rule.rule_class == "not-a-kernel-bug" for rule in rules)
    assert search("", tier="not-a-kernel-bug") == outside
    assert 0 < search("", subsystem="xen-netfront") < 20
    assert search("", kind="sysrq") >= 1
    shown = "return [...document.querySelectorAll('details.rule, #mined tbody tr')].filter(n => n.offsetParent).length"
    assert search("nvidia", tier="curated") == browser.execute_script(shown)
    emulate(browser, 400, 800)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    messages = str([entry["message"] for entry in browser.get_log("performance")])
    assert re.findall(r'"Network.requestWillBeSent"[^}]*?"url":"((?:https?|wss?|ftp):[^"]+)', messages) == []
