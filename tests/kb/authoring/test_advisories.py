"""Vendors' feeds: OSV, CSAF and OVAL give the first fixed version of each product and line by CVE id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbmatch.engine.document import Problems
from kbmatch.engine.errors import UnreadableInput
from kbmatch.kb.authoring.advisories import advisories_text, collect, merged, statements_of
from kbmatch.kb.store.advisories import FixedVersion, read_advisories
from kbmatch.kb.store.products import load_products

CVE = "CVE-2099-10001"


def osv(advisory: str, version: str, package: str = "kernel") -> dict[str, object]:
    events = [{"introduced": "0"}, {"fixed": version}]
    affected = [{"package": {"ecosystem": "X", "name": package}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    return {"id": advisory, "related": [CVE], "details": "", "affected": affected}


def csaf(advisory: str, *products: str) -> dict[str, object]:
    vulnerability = {"cve": CVE, "product_status": {"fixed": list(products)}}
    return {"document": {"tracking": {"id": advisory}}, "product_tree": {}, "vulnerabilities": [vulnerability]}


OVAL = """<?xml version="1.0"?>
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"><definitions>
<definition id="oval:com.oracle.elsa:def:1" class="patch"><metadata><title>ELSA-2099-1: Unbreakable kernel</title>
<reference source="elsa" ref_id="ELSA-2099-1"/><reference source="CVE" ref_id="CVE-2099-10001"/></metadata>
<criteria><criterion comment="kernel-uek is earlier than 0:5.15.0-206.153.7.el9uek"/>
<criterion comment="kernel-uek-doc is earlier than 0:5.15.0-206.153.7.el9uek"/></criteria></definition>
</definitions></oval_definitions>"""


def imported(path: Path) -> dict[str, dict[str, list[FixedVersion]]]:
    return collect(statements_of(path), load_products()).fixed


def test_osv_keeps_the_first_fixed_version_and_leaves_other_packages_out(tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    lines = [
        osv("ALSA-2099:2", "4.18.0-553.9.1.el8_10"),
        osv("ALSA-2099:1", "4.18.0-553.el8_10"),
        osv("ALSA-2099:3", "4.18.0-1.rt7.1.el8", "kernel-rt"),
    ]
    feed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert imported(feed) == {"almalinux": {CVE: [FixedVersion("rhel8", "4.18.0-553.el8_10", "ALSA-2099:1")]}}


def test_csaf_tells_extended_streams_from_the_main_line(tmp_path: Path) -> None:
    feed = tmp_path / "rhsa.json"
    main = "BaseOS-8.10.0.Z.MAIN.EUS:kernel-0:4.18.0-372.100.1.el8_6.x86_64"
    plain = "BaseOS-8.10.0.Z.MAIN:kernel-0:4.18.0-553.5.1.el8_10.x86_64"
    feed.write_text(json.dumps(csaf("RHSA-2099:1", main, plain)))
    assert imported(feed)["redhat"][CVE] == [
        FixedVersion("rhel8", "4.18.0-372.100.1.el8_6", "RHSA-2099:1", "8.6"),
        FixedVersion("rhel8", "4.18.0-553.5.1.el8_10", "RHSA-2099:1"),
    ]


def test_oval_of_oracle_names_product_and_stream(tmp_path: Path) -> None:
    feed = tmp_path / "com.oracle.elsa.xml"
    feed.write_text(OVAL)
    assert imported(feed) == {"oracle": {CVE: [FixedVersion("uek7", "5.15.0-206.153.7.el9uek", "ELSA-2099-1", "200")]}}


def test_xml_with_entities_is_refused(tmp_path: Path) -> None:
    feed = tmp_path / "bomb.xml"
    feed.write_text('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(UnreadableInput, match="entities"):
        list(statements_of(feed))


def test_what_is_no_feed_is_named(tmp_path: Path) -> None:
    feed = tmp_path / "feed.json"
    feed.write_text('{"id": "x"}')
    with pytest.raises(UnreadableInput, match=r"feed\.json: neither"):
        list(statements_of(feed))
    feed.write_text('{"a": 1}\n{broken\n')
    with pytest.raises(UnreadableInput, match=r"feed\.json:"):
        list(statements_of(feed))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    fixed = {
        CVE: [
            FixedVersion("rhel8", "4.18.0-553.el8_10", "ALSA-2099:1"),
            FixedVersion("uek7", "5.15.0-1.el8uek", "E", "0"),
        ]
    }
    path = tmp_path / "x.yaml"
    path.write_text(advisories_text("almalinux", fixed))
    problems = Problems()
    assert read_advisories([path], problems) == fixed
    assert not problems.diagnostics
    assert merged(fixed, fixed, load_products()) == fixed


def test_almalinux_feed_covers_many_mined_cves(shared: Path) -> None:
    found = imported(shared / "data" / "almalinux-kernel-osv.jsonl.zst")
    products = {f.product for lines in found["almalinux"].values() for f in lines}
    assert products == {"rhel8", "rhel9", "rhel10"}
    assert len(found["almalinux"]) > 1000
