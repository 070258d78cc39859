"""dpkg's order: univers as oracle, the laws of an order, real package versions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from univers.debian import Version

from kbmatch.engine.versions import dpkg
from kbmatch.engine.versions.compare import compare, is_valid

PART = st.text("01279abu.+~", min_size=1, max_size=10)
VERSION = st.builds(
    lambda e, first, rest, r: e + first + rest + ("-" + r if r else ""),
    st.sampled_from(["", "0:", "2:"]),
    st.sampled_from("0169"),
    PART,
    st.one_of(st.just(""), PART),
).filter(dpkg.is_valid)


def oracle(a: str, b: str) -> int:
    x: Any = Version.from_string(a)  # type: ignore[no-untyped-call]
    y: Any = Version.from_string(b)  # type: ignore[no-untyped-call]
    return int(x > y) - int(x < y)


# The order that deb-version(7) and Policy 5.6.12 describe: "~~", "~~a", "~", the end, letters, the rest.
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1~~", "1~~a"),
        ("1~~a", "1~"),
        ("1~", "1"),
        ("1", "1a"),
        ("1a", "1+"),
        ("1.9", "1.10"),
        ("6.1.192-1", "6.1.192-2"),
        ("6.1.99-1", "6.1.192-2"),
        ("6.1~rc3-1~exp1", "6.1.4-1"),
        ("5.10.70-1~bpo10+1", "5.10.70-1"),
        ("3.16.7-ckt11-1+deb8u2", "3.16.36-1+deb8u1"),
        ("3.2.68-1", "3.2.68-1+deb7u1"),
        ("5.15.0-91.101~20.04.1", "5.15.0-91.101"),
        ("5.15.0-91.101", "5.15.0-119.129"),
        ("4.15.0-66.75", "1:4.15.0-1.1"),
    ],
)
def test_dpkg_order_is_that_of_its_manual(older: str, newer: str) -> None:
    assert compare("dpkg", older, newer) == -1
    assert compare("dpkg", newer, older) == 1


@pytest.mark.parametrize(("a", "b"), [("1.0", "1.00"), ("0:1-1", "1-1"), ("1.0-0", "1.0"), ("1.", "1.0")])
def test_equal_dpkg_versions_may_be_written_differently(a: str, b: str) -> None:
    assert compare("dpkg", a, b) == 0


@given(VERSION, VERSION)
@example("1.0", "1.")
@example("1~", "1")
def test_dpkg_agrees_with_univers(a: str, b: str) -> None:
    assert dpkg.compare(a, b) == oracle(a, b)


@given(VERSION, VERSION)
def test_dpkg_order_is_antisymmetric(a: str, b: str) -> None:
    assert dpkg.compare(a, b) == -dpkg.compare(b, a)


@given(VERSION, VERSION, VERSION)
def test_dpkg_order_is_transitive(a: str, b: str, c: str) -> None:
    if dpkg.compare(a, b) <= 0 and dpkg.compare(b, c) <= 0:
        assert dpkg.compare(a, c) <= 0


@pytest.mark.parametrize("text", ["", "a1", "1_0", "1 0", "1-", "1:", "1.0\n", "9" * 300])
def test_what_is_no_debian_version_is_refused(text: str) -> None:
    assert not is_valid("dpkg", text)
