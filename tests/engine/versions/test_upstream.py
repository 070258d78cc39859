"""Upstream versions: pre-releases before their release, real releases of test kernels, laws of an order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbmatch.engine.versions import upstream
from kbmatch.engine.versions.compare import SCHEMES, compare, is_valid, strip_suffixes

ASCENDING = [
    "2.6.32-rc8",
    "2.6.32",
    "2.6.32.61",
    "2.6.39",
    "3.0",
    "4.9.65-g8ae26d1",
    "4.9.72",
    "4.15.0-rc3-next-20171214+",
    "4.15.0-rc7",
    "4.15.0",
    "4.15.0+",
    "4.15.1",
    "4.20.0-next-20190102+",
    "5.0.0-rc1",
    "5.0.0-rc1-next-20190111",
    "5.10.75-syzkaller-01082-g234d53d2bb60",
    "5.10.136",
    "6.10.0-rc1-syzkaller-00027-g4a4be1ad3a6e",
    "6.10.0-rc2-next-20240607-syzkaller",
    "6.10.0-rc4",
    "6.10.0-rc5-00257-g88d8f64b9f5f-dirty",
    "6.10.0-rc5-01137-g1c5fc27bc48a",
    "6.10",
    "6.10.0-syzkaller-04483-g0be9ae5486cd",
    "6.10.0-syzkaller-09703-gd7e78951a8b8",
    "6.10.1",
    "6.11.0-rc1",
    "6.19.14",
    "7.0",
]


def test_releases_sort_by_age() -> None:
    for older, newer in itertools.combinations(ASCENDING, 2):
        assert compare("upstream", older, newer) == -1, (older, newer)
        assert compare("upstream", newer, older) == 1, (older, newer)


@pytest.mark.parametrize(
    ("a", "b"),
    [("6.7", "6.7.0"), ("6.7-rc2", "6.7.0-rc2"), ("6.1.27-syzkaller", "6.1.27"), ("4.4.114-rt77", "4.4.114")],
)
def test_the_same_release_may_be_written_differently(a: str, b: str) -> None:
    assert compare("upstream", a, b) == 0


@pytest.mark.parametrize(
    "text",
    ["", "6", "6.1.0-56-cloud-amd64", "4.14.35-acme7", "4.14.35-1902.5.2.el7uek", "6.1.11-arch1-1", "v6.1",
     "6.1.x", "6.1\n", "6.1.2.3.4", "95.16.3-srb-asrock-00001-g36437ad63879", "6.0.0-mm-pcpnoirq-v1r2",
     "6.1" + "0" * 200],
)  # fmt: skip
def test_vendor_releases_are_no_upstream_versions(text: str) -> None:
    assert not is_valid("upstream", text)


@pytest.mark.parametrize(
    ("running", "introduced", "expected"),
    [
        ("6.10.0-rc4", "6.10", True),  # a pre-release of X is at or after X
        ("6.10.0-rc4", "6.11", False),
        ("6.10.0-rc4", "6.10-rc4", True),  # given to the rc: exact
        ("6.10.0-rc4", "6.10-rc5", False),
        ("6.10.0-rc4", "6.10.1", False),
        ("6.10.0-rc4-00283-g563a50672d8a", "6.10-rc5", True),  # on its way to rc5
        ("6.10.0-rc4-00283-g563a50672d8a", "6.10-rc6", False),
        ("6.12.0-syzkaller-03657-g43fb83c17ba2", "6.13", True),  # the merge window of 6.13
        ("6.12.0-syzkaller-03657-g43fb83c17ba2", "6.13-rc1", True),
        ("6.12.0-syzkaller-03657-g43fb83c17ba2", "6.13-rc2", False),
        ("6.12.0-syzkaller-03657-g43fb83c17ba2", "6.14", False),
        ("6.12.0", "6.13", False),
        ("4.20.0-next-20190102+", "5.0", True),
        ("5.19.0-syzkaller-13930-g7ebfc85e2cd7", "6.0", True),
        ("4.19.0+", "5.0", False),
        ("4.19.0+", "4.20", True),
        ("6.8.0-rc0", "6.8", True),
    ],
)
def test_a_pre_release_may_hold_what_its_release_introduced(running: str, introduced: str, expected: bool) -> None:
    a, b = upstream.parse(running), upstream.parse(introduced)
    assert a is not None
    assert b is not None
    assert a.at_or_after_introduced(b) is expected


VERSION = st.builds(
    lambda a, b, c, rc, snap: f"{a}.{b}" + c + rc + snap,
    st.integers(2, 7),
    st.integers(0, 40),
    st.sampled_from(["", ".0", ".1", ".35"]),
    st.sampled_from(["", "-rc1", "-rc7"]),
    st.sampled_from(["", "+", "-dirty", "-gabcdef0", "-00012-gabcdef0", "-next-20240607", "-syzkaller"]),
)


@given(VERSION, VERSION, VERSION)
def test_upstream_order_is_an_order(a: str, b: str, c: str) -> None:
    assert upstream.compare(a, b) == -upstream.compare(b, a)
    if upstream.compare(a, b) <= 0 and upstream.compare(b, c) <= 0:
        assert upstream.compare(a, c) <= 0


@given(VERSION)
def test_the_base_of_a_version_is_a_version_at_or_before_it(text: str) -> None:
    parsed = upstream.parse(text)
    assert parsed is not None
    assert upstream.compare(parsed.base, text) <= 0
    assert upstream.parse(parsed.base) is not None


def test_unknown_schemes_are_named() -> None:
    assert SCHEMES == ("rpm", "dpkg", "upstream")
    with pytest.raises(ValueError, match="unknown version scheme 'semver'"):
        compare("semver", "1", "2")


@pytest.mark.parametrize(
    ("scheme", "text", "bare"),
    [
        ("rpm", "4.14.35-1902.5.2.el7uek.x86_64", "4.14.35-1902.5.2"),
        ("rpm", "5.15.0-208.159.3.2.el9uek.aarch64", "5.15.0-208.159.3.2"),
        ("rpm", "5.15.0-208.159.3.2.el9uek.x86_64.debug", "5.15.0-208.159.3.2"),
        ("rpm", "4.18.0-477.10.1.el8_8.x86_64", "4.18.0-477.10.1"),
        ("rpm", "4.18.0-477.el8.x86_64+debug", "4.18.0-477"),
        ("rpm", "5.14.0-162.12.1.el9_1.0.2.x86_64", "5.14.0-162.12.1"),
        ("rpm", "6.12.0-55.34.1.el10_0.x86_64+rt", "6.12.0-55.34.1"),
        ("rpm", "3.10.0-1160.el7.centos.plus.x86_64", "3.10.0-1160"),
        ("rpm", "6.13.8-200.fc41.x86_64", "6.13.8-200"),
        ("rpm", "6.1.159-181.297.amzn2023.x86_64", "6.1.159-181.297"),
        ("rpm", "5.14.21-150500.55.39-default", "5.14.21-150500.55.39"),
        ("rpm", "4.14.35-1902.7.0", "4.14.35-1902.7.0"),
        ("dpkg", "6.1.0-56-cloud-amd64", "6.1.0-56"),
        ("dpkg", "5.15.0-91-generic", "5.15.0-91"),
        ("dpkg", "5.15.0-91.101~20.04.1", "5.15.0-91.101"),
        ("dpkg", "5.10.70-1~bpo10+1", "5.10.70-1~bpo10+1"),
        ("upstream", "6.10.0-rc4-syzkaller", "6.10.0-rc4-syzkaller"),
    ],
)
def test_architecture_flavour_and_dist_tag_are_stripped(scheme: str, text: str, bare: str) -> None:
    assert strip_suffixes(scheme, text) == bare
    assert strip_suffixes(scheme, bare) == bare
