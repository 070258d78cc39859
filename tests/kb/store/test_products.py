"""The product table is read with every mistake named by file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.products import UPSTREAM
from kbmatch.kb.store.products import SHIPPED, check_table, load_products

GOOD = """\
format: 1
products:
  - id: acme8
    name: Acme 8
    vendor: Acme
    scheme: rpm
    recognise:
      - {release: '^4\\.18\\.0-[0-9]{1,4}\\.acme8'}
    streams:
      - {id: "1", match: [{release: '-1'}]}
    commands:
      upgrade: [sudo, dnf, install, "{package}-{version}"]
"""


def diagnostics(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "products.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError) as error:
        load_products(path)
    return [str(d).removeprefix(f"{path}:") for d in error.value.diagnostics]


def test_the_shipped_table_passes_its_own_checks() -> None:
    table = check_table(SHIPPED)
    assert len(table) >= 30
    linux = table.get(UPSTREAM)
    assert linux is not None
    assert linux.tracks_stable
    for product_id in ("uek4", "uek5", "uek6", "uek7", "uek8", "rhel7", "rhel8", "rhel9", "rhel10", "centos7",
                       "rocky8", "almalinux9", "ol10", "ubuntu", "debian", "sle", "fedora", "amzn2", "arch",
                       "android"):  # fmt: skip
        assert product_id in table, product_id


def test_every_stream_is_reached_by_its_own_patterns_only() -> None:
    for product in load_products():
        ids = [s.id for s in product.streams]
        assert len(ids) == len(set(ids))
        assert all(s.patterns for s in product.streams)
        assert all(product.knows_stream(i) for i in ids)


def test_the_table_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(GOOD, encoding="utf-8")
    first = load_products(path)
    assert load_products(path) is first
    assert first.get("acme8") is not None
    path.write_text(GOOD.replace("Acme 8", "Acme eight"), encoding="utf-8")
    changed = load_products(path).get("acme8")
    assert changed is not None
    assert changed.name == "Acme eight"


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("format: 1", "format: 2", "1:9", "'format' must be 1"),
        ("scheme: rpm", "scheme: semver", "6:13", "allowed are rpm, dpkg, upstream"),
        ("    scheme: rpm\n", "", "3:5", "needs 'scheme'"),
        ("id: acme8", "id: Acme 8", "3:9", "does not have the form"),
        ("vendor: Acme", "vendors: Acme", "5:5", "did you mean 'vendor'?"),
        ("vendor: Acme", "vendor: 7", "5:13", "put it in quotes"),
        ("'^4", "'(4", "8:19", "cannot be used"),
        ("'-1'", "'(?P<x>-1)'", "10:37", "no group is named 'x'"),
        ("'-1'", "'(a+)+b'", "10:37", "it repeats a repeat"),
        ("{release: '-1'}", "{releases: '-1'}", "10:28", "did you mean 'release'?"),
        ("{version}", "{release}", "12:16", "cannot hold {release}"),
        ("recognise:", "family: other\n    recognise:", "7:13", "'other' is not declared above"),
        ("vendor: Acme", "vendor: Acme\n    rolling: maybe", "6:14", "must be true or false"),
        ("vendor: Acme", "vendor: Acme\n    dists: ['.el8; rm']", "6:12", "no dist tag"),
        ("vendor: Acme", "vendor: Acme\n    vendor: Acme", "6:5", "stands already in line 5"),
        ("vendor: Acme", "vendor: &a Acme", "5:13", "anchors are not allowed"),
        ("products:", "products: {}\nproduct:", "2:11", "must be a list"),
        ("format: 1", "format: [", "3:3", "expected node content"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    assert old in GOOD
    found = diagnostics(tmp_path, GOOD.replace(old, new, 1))
    assert any(d.startswith(f"{where}: ") and words in d for d in found), found


def test_all_mistakes_are_shown_together(tmp_path: Path) -> None:
    text = GOOD.replace("scheme: rpm", "scheme: semver").replace("'-1'", "'('").replace("{version}", "{x}")
    assert len(diagnostics(tmp_path, text)) >= 3


def test_products_and_streams_are_declared_once(tmp_path: Path) -> None:
    product = GOOD[GOOD.index("  - id") :]
    assert any("'acme8' is declared twice" in d for d in diagnostics(tmp_path, GOOD + product))
    stream = "      - {id: \"1\", match: [{release: '-1'}]}\n"
    assert any("stream '1' is declared twice" in d for d in diagnostics(tmp_path, GOOD.replace(stream, stream * 2)))


@pytest.mark.parametrize("text", ["", "- a\n", "just a word\n", "format: 1\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    assert diagnostics(tmp_path, text)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no-such\.yaml:1:1: unreadable"):
        load_products(tmp_path / "no-such.yaml")
