"""rpm's order: its documented table, univers as oracle, the laws of an order, real kernel releases."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from univers.rpm import compare_rpm_versions

from kbmatch.engine.versions import rpm
from kbmatch.engine.versions.compare import compare, is_valid

SEGMENT = st.text("019abel.~^_+", min_size=1, max_size=12)
VERSION = st.builds(
    lambda e, v, r: e + v + ("-" + r if r else ""),
    st.sampled_from(["", "0:", "1:"]),
    SEGMENT,
    st.one_of(st.just(""), SEGMENT),
).filter(rpm.is_valid)


# From rpm's own tests/rpmvercmp.at: (first, second, order).
@pytest.mark.parametrize(
    ("a", "b", "order"),
    [
        ("1.0", "1.0", 0),
        ("1.0", "2.0", -1),
        ("2.0.1", "2.0.1a", -1),
        ("5.5p1", "5.5p10", -1),
        ("10xyz", "10.1xyz", -1),
        ("xyz10", "xyz10.1", -1),
        ("xyz.4", "8", -1),
        ("5.5p2", "5.6p1", -1),
        ("5.6p1", "6.5p1", -1),
        ("6.0.rc1", "6.0", 1),
        ("10b2", "10a1", 1),
        ("1.0a", "1.0aa", -1),
        ("10.0001", "10.1", 0),
        ("10.0001", "10.0039", -1),
        ("20101121", "20101122", -1),
        ("2_0", "2.0", 0),
        ("a+", "a_", 0),
        ("1.0~rc1", "1.0", -1),
        ("1.0~rc1", "1.0~rc2", -1),
        ("1.0~rc1~git123", "1.0~rc1", -1),
        ("1.0^", "1.0", 1),
        ("1.0^git1", "1.01", -1),
        ("1.0^20160101", "1.0.1", -1),
        ("1.0~rc1^git1", "1.0~rc1", 1),
        ("1.0^git1~pre", "1.0^git1", -1),
    ],
)
def test_rpm_order_is_that_of_rpms_own_test_suite(a: str, b: str, order: int) -> None:
    assert rpm.vercmp(a, b) == order
    assert rpm.vercmp(b, a) == -order


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("4.14.35-1902.5.2", "4.14.35-1902.7.0"),
        ("4.14.35-1902.7.0", "4.14.35-1902.7.3.1"),
        ("4.14.35-1844.5.0", "4.14.35-1902.0.0"),
        ("4.18.0-477.el8", "4.18.0-477.10.1.el8_8"),
        ("4.18.0-477.10.1.el8_8", "4.18.0-553.117.1.el8_10"),
        ("5.15.0-7.86.6.1", "5.15.0-100.96.32"),
        ("4.18.0-553.rt7.342.el8_10", "4.18.0-553.5.1.rt7.346.el8_10"),
        ("5.13.0-0.rc1.20210512git88b06399c9c7.15.fc35", "5.13.4-200.fc34"),
        ("5.14.21-150400.24.108", "5.14.21-150500.55.49"),
        ("5.14.21-150500.55.7", "5.14.21-150500.55.49"),
        ("9:1.0-1", "10:0.1-1"),
    ],
)
def test_real_kernel_releases_sort_by_age(older: str, newer: str) -> None:
    assert compare("rpm", older, newer) == -1
    assert compare("rpm", newer, older) == 1


@given(VERSION, VERSION)
@example("1.0^", "1.0~")
@example("1.0^a", "1.0")
@example("1.0.", "1.0")
def test_rpm_agrees_with_univers(a: str, b: str) -> None:
    assert rpm.compare(a, b) == compare_rpm_versions(a, b)


@given(VERSION, VERSION)
def test_rpm_order_is_antisymmetric(a: str, b: str) -> None:
    assert rpm.compare(a, b) == -rpm.compare(b, a)


@given(VERSION, VERSION, VERSION)
def test_rpm_order_is_transitive(a: str, b: str, c: str) -> None:
    if rpm.compare(a, b) <= 0 and rpm.compare(b, c) <= 0:
        assert rpm.compare(a, c) <= 0


@pytest.mark.parametrize("text", ["", "abc", "1.0-1-1", "1 0", "1.0;rm", "1:2:3", "é1", "1" * 300, "1.0\n"])
def test_what_is_no_rpm_version_is_refused(text: str) -> None:
    assert not is_valid("rpm", text)
    with pytest.raises(ValueError, match="not a version"):
        compare("rpm", text, "1.0")
