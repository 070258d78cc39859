"""Affected versions: every product is judged by its own line, and what is not known stays unknown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from kbmatch.engine.affected import Affected, VersionJudgement, VersionRange, VersionStatus, check_range, judge
from kbmatch.engine.incident import Kernel
from kbmatch.kb.store.products import load_products

PRODUCTS = load_products()
A, F, B, U = VersionStatus.AFFECTED, VersionStatus.FIXED, VersionStatus.BEFORE_INTRODUCED, VersionStatus.UNKNOWN


def run(
    affected: list[Affected], release: str, version: str | None = None, *, livepatched: bool | None = None
) -> VersionJudgement:
    kernel = PRODUCTS.identify(Kernel(release=release, version=version, livepatched=livepatched))
    judged = judge(affected, kernel, PRODUCTS)
    assert judged.why
    assert "\n" not in judged.why
    return judged


def upstream(*ranges: tuple[str | None, str, str | None]) -> Affected:
    return Affected("linux", tuple(VersionRange(i, f, branch=b) for b, i, f in ranges), "stable trees")


FOUNDING = Affected(
    "uek5",
    (
        VersionRange("4.14.35-1844.5.0", None, stream="1844"),
        VersionRange("0", "4.14.35-1902.7.0", stream="1902"),
    ),
    "ELSA-2019-4643",
)


@pytest.mark.parametrize(
    ("release", "status", "fixed"),
    [
        ("4.14.35-1902.5.2.el7uek.x86_64", A, "4.14.35-1902.7.0"),
        ("4.14.35-1902.6.6.el7uek.aarch64", A, "4.14.35-1902.7.0"),
        ("4.14.35-1902.7.0.el7uek.x86_64", F, "4.14.35-1902.7.0"),
        ("4.14.35-1902.8.4.el7uek.x86_64", F, "4.14.35-1902.7.0"),
        ("4.14.35-1902.300.11.el7uek.x86_64", F, "4.14.35-1902.7.0"),
        ("4.14.35-1844.4.5.el7uek.x86_64", B, None),
        ("4.14.35-1844.5.0.el7uek.x86_64", A, None),
        ("4.14.35-1818.3.3.el7uek.x86_64", U, None),
        ("4.14.35-2047.542.2.el7uek.x86_64", U, None),
        ("4.14.35-1902.5.2.el7uek.x86_64.acme", U, None),
        ("4.14.35-acme7", U, None),
        ("4.14.35", U, None),
        ("5.4.17-2036.103.3.el7uek.x86_64", U, None),
    ],
)
def test_the_founding_case_by_stream(release: str, status: VersionStatus, fixed: str | None) -> None:
    judged = run([FOUNDING], release)
    assert (judged.status, judged.fixed) == (status, fixed)
    assert judged.source == (FOUNDING.source if status is not U else None)


def test_live_patched_kernels_are_unknown() -> None:
    judged = run([FOUNDING], "4.14.35-1902.5.2.el7uek.x86_64", livepatched=True)
    assert judged.status is U
    assert "live-patched" in judged.why
    assert run([FOUNDING], "4.14.35-1902.5.2.el7uek.x86_64", livepatched=False).status is A


BUG = upstream(
    ("5.10", "5.8", "5.10.36"),
    ("6.1", "5.8", "6.1.50"),
    ("6.6", "0", "6.6.3"),
    (None, "5.8", "6.7"),
    ("5.4", "5.4.53", None),
)


@pytest.mark.parametrize(
    ("release", "status", "fixed"),
    [
        ("5.10.35", A, "5.10.36"),
        ("5.10.36", F, "5.10.36"),
        ("5.10.36+", F, "5.10.36"),
        ("5.10.35-syzkaller-00100-gabcdef012345", A, "5.10.36"),
        ("6.1.49", A, "6.1.50"),
        ("6.1.0-rc3", A, "6.1.50"),
        ("6.6.3", F, "6.6.3"),
        ("6.6.0-rc1", A, "6.6.3"),
        ("6.5.3", A, "6.7"),  # a branch nobody lists, between introduction and the fix in mainline
        ("6.7.0-rc2", A, "6.7"),
        ("6.7.0-rc2-00231-gc8ed9b5c02a5", A, "6.7"),
        ("6.7.0", F, "6.7"),
        ("6.7.0+", F, "6.7"),
        ("6.7.9", F, "6.7"),
        ("6.12.0-rc1", F, "6.7"),
        ("7.2", F, "6.7"),
        ("6.6.0-syzkaller-03657-g43fb83c17ba2", A, "6.7"),  # the merge window of 6.7, not a stable 6.6
        ("5.7.19", B, None),
        ("5.8.0-rc1", A, "6.7"),
        ("5.7.0-syzkaller-03657-g43fb83c17ba2", A, "6.7"),
        ("5.7.0-rc4", B, None),
        ("4.19.50", B, None),
        ("5.4.52", B, None),
        ("5.4.53", A, "6.7"),
        ("5.4.0-rc1", B, None),
    ],
)
def test_upstream_kernels_by_branch(release: str, status: VersionStatus, fixed: str | None) -> None:
    judged = run([BUG], release)
    assert (judged.status, judged.fixed) == (status, fixed), judged.why
    assert judged.product == "linux"


def test_an_unlisted_branch_says_that_mainline_has_the_fix() -> None:
    assert run([BUG], "6.5.3").why == ("6.5.3 is affected; no fix is known in branch 6.5, mainline has it from 6.7 on")


def test_without_mainline_an_unlisted_branch_is_unknown() -> None:
    branches = upstream(("6.1", "0", "6.1.50"), ("6.6", "0", "6.6.3"))
    assert run([branches], "6.5.3").status is U
    assert run([branches], "6.1.49").fixed == "6.1.50"


@pytest.mark.parametrize(
    ("release", "status"),
    [("6.7.0-rc1", B), ("6.7.0-rc2", A), ("6.7.0-rc4", A), ("6.7.0-rc5", F), ("6.7.0", F), ("6.6.8", B)],
)
def test_ranges_given_to_the_rc_compare_exactly(release: str, status: VersionStatus) -> None:
    assert run([upstream((None, "6.7-rc2", "6.7-rc5"))], release).status is status


@pytest.mark.parametrize(
    ("release", "status", "fixed"),
    [
        ("6.12.16", F, "6.12.16"),
        ("6.12.15", U, "6.12.16"),
        ("6.11.5", U, "6.14"),
        ("6.14", F, "6.14"),
        ("6.10.3", U, None),
        ("6.9.3", A, "6.9.4"),
    ],
)
def test_where_only_the_fix_is_known_older_kernels_stay_unknown(
    release: str, status: VersionStatus, fixed: str | None
) -> None:
    known = upstream(
        ("6.12", "unknown", "6.12.16"),
        ("6.10", "unknown", None),
        ("6.9", "unknown", "6.9.2"),
        ("6.9", "6.9.3", "6.9.4"),
        (None, "unknown", "6.14"),
    )
    judged = run([known], release)
    assert (judged.status, judged.fixed) == (status, fixed)


def test_a_defect_introduced_and_fixed_in_one_release_is_one_of_its_pre_releases() -> None:
    within = upstream((None, "6.7", "6.7"))
    assert [run([within], r).status for r in ("6.6.9", "6.7.0-rc3", "6.7.0", "6.7.1")] == [B, A, F, F]


def test_a_point_release_without_branch_is_bound_to_its_branch() -> None:
    sloppy = upstream((None, "5.8", "5.10.36"))
    assert run([sloppy], "5.10.20").status is A
    assert run([sloppy], "5.11.1").status is U


def test_a_gap_between_ranges_is_fixed_and_the_fix_lies_in_no_range() -> None:
    twice = upstream(("6.1", "0", "6.1.10"), ("6.1", "6.1.20", "6.1.30"), ("6.1", "6.1.30", "6.1.40"))
    judged = [run([twice], f"6.1.{n}") for n in (5, 15, 25, 35, 40)]
    assert [j.status for j in judged] == [A, F, A, A, F]
    assert [j.fixed for j in judged] == ["6.1.10", "6.1.10", "6.1.40", "6.1.40", "6.1.40"]


@pytest.mark.parametrize(
    ("release", "version", "status", "fixed"),
    [
        ("6.1.0-56-cloud-amd64", "#1  Debian 6.1.192-2", F, "6.1.50"),
        ("6.1.0-9-amd64", "#1 SMP Debian 6.1.27-1 (2023-05-08)", A, "6.1.50"),
        ("6.1.0-9-amd64", None, U, None),
        ("6.5.0-0.deb12.4-amd64", "#1 SMP Debian 6.5.10-1~bpo12+1", A, None),  # 6.7 is not for its users
        ("6.5.6-300.fc39.x86_64", None, A, "6.7"),
        ("6.6.4-200.fc39.x86_64", None, F, "6.6.3"),
        ("6.8.0-0.rc0.20240109git9f8413c4a66f.1.fc40.x86_64", None, F, "6.7"),
        ("6.0.6-arch1-1", None, A, "6.7"),
        ("5.10.20-1-default", None, A, "5.10.36"),
        ("5.4.95-42.163.amzn2.x86_64", None, A, None),
        ("6.1.159-181.297.amzn2023.x86_64", None, F, "6.1.50"),
    ],
)
def test_upstream_ranges_hold_for_products_that_track_stable(
    release: str, version: str | None, status: VersionStatus, fixed: str | None
) -> None:
    judged = run([BUG], release, version)
    assert (judged.status, judged.fixed) == (status, fixed), judged.why
    assert judged.by_upstream
    assert judged.product != "linux"


@pytest.mark.parametrize(
    "release",
    [
        "4.14.35-1902.5.2.el7uek.x86_64",
        "5.15.0-100.96.32.el8uek.x86_64",
        "4.18.0-477.10.1.el8_8.x86_64",
        "6.12.0-55.34.1.el10_0.x86_64",
        "5.14.21-150500.55.39-default",
        "5.15.0-91-generic",
        "6.1.145-android14-11-gedaaac4d5c85",
        "5.10.20-acme1",
    ],
)
def test_upstream_ranges_never_hold_for_other_vendors(release: str) -> None:
    judged = run([BUG], release)
    assert judged.status is U
    assert judged.fixed is None


@pytest.mark.parametrize(
    ("ranges", "status"),
    [
        ([("5.10", "5.8", "5.10.36"), (None, "5.8", "6.7")], A),  # no fix in 6.1 at all
        ([("6.1", "5.8", "6.1.50"), (None, "5.8", "6.7")], U),  # mended somewhere within 6.1
        ([("6.1", "6.1.9", None), (None, "6.2", "6.7")], U),  # brought in somewhere within 6.1
        ([(None, "5.8", "5.19")], F),
        ([(None, "6.4", "6.7")], B),
    ],
)
def test_where_the_stable_number_is_hidden_what_holds_for_the_whole_branch_counts(
    ranges: list[tuple[str | None, str, str | None]], status: VersionStatus
) -> None:
    judged = run([upstream(*ranges)], "6.1.0-18-amd64")
    assert judged.status is status, judged.why
    assert "6.1.y" in judged.why or status is U


def test_an_own_build_may_hold_what_came_later_upstream() -> None:
    bug = upstream((None, "5.12", "5.14"))
    assert run([bug], "5.11.6").status is B
    for release in ("5.11.6-pserver", "5.11.0-1-surface-dev"):
        judged = run([bug], release)
        assert judged.status is U
        assert "taken over" in judged.why
    assert run([bug], "5.13.2-pserver").status is A
    assert run([bug], "5.14.1-pserver").status is F


def test_the_vendors_own_ranges_win_over_upstreams() -> None:
    vendor = Affected("debian", (VersionRange("0", "6.1.20-2", stream="12"),), "DSA")
    judged = run([BUG, vendor], "6.1.0-9-amd64", "#1 SMP Debian 6.1.27-1 (2023-05-08)")
    assert (judged.status, judged.fixed, judged.source) == (F, "6.1.20-2", "DSA")
    assert not judged.by_upstream
    elsewhere = run([BUG, vendor], "5.10.0-8-amd64", "#1 SMP Debian 5.10.20-1")
    assert (elsewhere.status, elsewhere.fixed, elsewhere.by_upstream) == (A, "5.10.36", True)


ADVISORY = Affected("almalinux8", (VersionRange("0", "4.18.0-553.5.1.el8_10"),), "ALSA-2024:1")


@pytest.mark.parametrize(
    ("release", "banner", "status", "fixed"),
    [
        ("4.18.0-477.10.1.el8_8.x86_64", None, A, "4.18.0-553.5.1.el8_10"),
        ("4.18.0-477.el8.x86_64", None, A, "4.18.0-553.5.1.el8_10"),
        ("4.18.0-553.5.1.el8_10.x86_64", None, F, "4.18.0-553.5.1.el8_10"),
        ("4.18.0-553.117.1.el8_10.x86_64", None, F, "4.18.0-553.5.1.el8_10"),
        ("4.18.0-513.5.1.el8_9.x86_64", "(mockbuild@iad1-prod-build001.bld.equ.rockylinux.org)", A,
         "4.18.0-553.5.1.el8_10"),
        ("5.14.0-70.13.1.el9_0.x86_64", None, U, None),
    ],
)  # fmt: skip
def test_an_advisory_of_one_rebuild_holds_for_its_family(
    release: str, banner: str | None, status: VersionStatus, fixed: str | None
) -> None:
    kernel = PRODUCTS.identify(Kernel(release=release, banner=banner))
    judged = judge([ADVISORY], kernel, PRODUCTS)
    assert (judged.status, judged.fixed) == (status, fixed)


def test_a_later_minor_releases_fix_is_shown_where_the_own_one_is_not_listed() -> None:
    bound = Affected("rhel8", (VersionRange("0", "4.18.0-553.5.1.el8_10", stream="8.10"),), None)
    judged = run([bound], "4.18.0-477.10.1.el8_8.x86_64")
    assert (judged.status, judged.fixed) == (U, "4.18.0-553.5.1.el8_10")
    assert judged.why.endswith("fixed at the latest in 4.18.0-553.5.1.el8_10")


def test_the_stream_of_a_longer_supported_minor_release_wins_over_the_main_line() -> None:
    both = Affected(
        "rhel8",
        (VersionRange("0", "4.18.0-477.60.1.el8_8", stream="8.8"), VersionRange("0", "4.18.0-553.5.1.el8_10")),
    )
    assert run([both], "4.18.0-477.61.1.el8_8.x86_64").status is F
    assert run([both], "4.18.0-477.10.1.el8_8.x86_64").fixed == "4.18.0-477.60.1.el8_8"
    assert run([both], "4.18.0-513.5.1.el8_9.x86_64").fixed == "4.18.0-553.5.1.el8_10"


def test_suse_releases_lack_the_last_number_of_the_package() -> None:
    fixed = Affected("sle", (VersionRange("0", "5.14.21-150500.55.39.1", stream="15-SP5"),))
    releases = ("5.14.21-150500.55.36-default", "5.14.21-150500.55.39-default", "5.14.21-150500.55.44-default")
    assert [run([fixed], r).status for r in releases] == [A, F, F]


def test_ubuntu_kernels_built_for_an_older_release_have_the_same_fixes() -> None:
    fixed = Affected("ubuntu", (VersionRange("0", "5.15.0-91.101", stream="5.15"),))
    assert run([fixed], "5.15.0-91-generic", "#101-Ubuntu SMP").status is F
    assert run([fixed], "5.15.0-91-generic", "#101~20.04.1-Ubuntu SMP").status is F
    assert run([fixed], "5.15.0-88-generic", "#98-Ubuntu SMP").status is A
    assert run([fixed], "5.15.0-88-generic", None).status is U
    assert run([fixed], "5.15.0-1051-aws", "#56-Ubuntu SMP").status is U


def test_nothing_known_is_unknown() -> None:
    assert run([], "6.1.5").status is U
    assert judge([FOUNDING], Kernel(), PRODUCTS).status is U
    assert judge([FOUNDING], Kernel(product="uek5", stream="1902"), PRODUCTS).status is U
    assert judge([BUG], Kernel(product="linux"), PRODUCTS).status is U
    assert judge([BUG], Kernel(release="6.1.5", product="no-such"), PRODUCTS).status is U


def test_broken_ranges_never_raise() -> None:
    broken = upstream((None, "yesterday", "6.7"), ("6.1", "0", "not a version"), ("", "", ""))
    assert run([broken], "6.1.5").status is U
    vendor = Affected("uek5", (VersionRange("?", "!!", stream="1902"),))
    assert run([vendor], "4.14.35-1902.5.2.el7uek.x86_64").status is U


@pytest.mark.parametrize(
    ("version_range", "product", "words"),
    [
        (VersionRange("0", "4.14.35-1902.7.0", stream="1902"), "uek5", None),
        (VersionRange("0", None, stream="1902"), "uek5", None),
        (VersionRange("4.14.35-1844.5.0", stream="1844"), "uek5", None),
        (VersionRange("0", "4.18.0-553.5.1.el8_10"), "rhel8", None),
        (VersionRange("0", "4.18.0-553.5.1.el8_10", stream="8.10"), "almalinux8", None),
        (VersionRange("5.8", "5.10.36", branch="5.10"), "linux", None),
        (VersionRange("5.8", "5.13"), "linux", None),
        (VersionRange("6.7", "6.7"), "linux", None),
        (VersionRange("6.7-rc2", "6.7-rc5"), "linux", None),
        (VersionRange("0", "6.13.9-200.fc41", stream="41"), "fedora", None),
        (VersionRange("0", "5.15.0-91.101", stream="5.15-aws"), "ubuntu", None),
        (VersionRange("0", "1"), "uek99", "unknown product"),
        (VersionRange("0", "4.14.35-1902.7.0"), "uek5", "several streams"),
        (VersionRange("0", "4.14.35-1902.7.0", stream="1903"), "uek5", "unknown stream"),
        (VersionRange("0", "a b", stream="1902"), "uek5", "no version of scheme rpm"),
        (VersionRange("", "4.14.35-1902.7.0", stream="1902"), "uek5", "no version"),
        (VersionRange("4.14.35-1902.7.0", "4.14.35-1902.7.0", stream="1902"), "uek5", "not after"),
        (VersionRange("4.14.35-1902.10.0", "4.14.35-1902.9.0", stream="1902"), "uek5", "not after"),
        (VersionRange("0", "4.14.35-1902.7.0", branch="4.14", stream="1902"), "uek5", "branch is for"),
        (VersionRange("5.8", "5.10.36"), "linux", 'add branch: "5.10"'),
        (VersionRange("5.8", "5.11.3", branch="5.10"), "linux", "does not lie in branch"),
        (VersionRange("5.8", None, branch="5.10.1"), "linux", "no stable branch"),
        (VersionRange("5.8", "5.13", stream="x"), "linux", "by branch, not by stream"),
        (VersionRange("5.14", "5.13"), "linux", "not after"),
        (VersionRange("6.7-rc2", "6.7-rc2"), "linux", "not after"),
        (VersionRange("5.8-acme", None), "linux", "no version of scheme upstream"),
        (VersionRange("0", "5.15.0-91.101", stream="jammy"), "ubuntu", "unknown stream"),
        (VersionRange("0", "5.15.0-91.101"), "ubuntu", "several streams"),
    ],
)
def test_the_linter_names_what_is_wrong_with_a_range(
    version_range: VersionRange, product: str, words: str | None
) -> None:
    problems = check_range(version_range, product, PRODUCTS)
    if words is None:
        assert problems == []
    else:
        assert any(words in p for p in problems), problems


def test_the_ranges_of_the_cve_records_judge_their_own_bounds(shared: Path) -> None:
    """4,985 records: each fixed release is fixed, or recommends one that is where two commits made the fix."""
    import zstandard

    packed = (shared / "data" / "kernel-cves.jsonl.zst").open("rb")
    lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8")
    checked = twice = 0
    for line in lines:
        ranges = tuple(_range(pair) for pair in json.loads(line)["pairs"])
        affected = [Affected("linux", ranges)]
        for one in ranges:
            assert check_range(one, "linux", PRODUCTS) == []
            if one.fixed is None:
                continue
            judged = judge(affected, Kernel(release=one.fixed, product="linux"), PRODUCTS)
            if judged.status is A and judged.fixed is not None:
                twice += 1
                judged = judge(affected, Kernel(release=judged.fixed, product="linux"), PRODUCTS)
            assert judged.status is F, (line[:80], judged)
            if one.branch is None:
                early = judge(affected, Kernel(release=f"{one.fixed}.0-rc1", product="linux"), PRODUCTS)
                assert early.status is A
                checked += 1
    assert checked > 4000
    assert twice < checked / 20


def _range(pair: list[str]) -> VersionRange:
    introduced, _, fixed, _ = pair
    bound = fixed if fixed != "0" else introduced
    branch = ".".join(bound.split(".")[:2]) if bound.count(".") == 2 else None
    return VersionRange(introduced, None if fixed == "0" else fixed, branch=branch)


def test_almalinux_advisories_are_ranges_of_the_family(shared: Path) -> None:
    import zstandard

    packed = (shared / "data" / "almalinux-kernel-osv.jsonl.zst").open("rb")
    lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8")
    checked = 0
    for line in lines:
        for entry in json.loads(line)["affected"]:
            major = entry["package"]["ecosystem"].removeprefix("AlmaLinux:")
            if entry["package"]["name"] != "kernel":
                continue
            (event,) = [e for r in entry["ranges"] for e in r["events"] if "fixed" in e]
            one = VersionRange("0", event["fixed"])
            assert check_range(one, f"almalinux{major}", PRODUCTS) == []
            judged = run([Affected(f"almalinux{major}", (one,))], event["fixed"] + ".x86_64")
            assert (judged.status, judged.product) == (F, f"rhel{major}")
            assert judged.stream is not None
            checked += 1
    assert checked > 200
