"""DESIGN.md's table of verdicts: every combination of signature, state, version and exception."""

from __future__ import annotations

from itertools import product

import pytest

from kbmatch.engine.affected import VersionStatus
from kbmatch.engine.logic import Truth
from kbmatch.engine.verdict import Verdict, combine

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN
AFFECTED, FIXED, BEFORE, UNKNOWN = (
    VersionStatus.AFFECTED,
    VersionStatus.FIXED,
    VersionStatus.BEFORE_INTRODUCED,
    VersionStatus.UNKNOWN,
)

# signature true and no exception: state -> version -> (verdict, version conflict)
TABLE = {
    F: {
        AFFECTED: ("refuted", False),
        FIXED: ("refuted", False),
        BEFORE: ("refuted", False),
        UNKNOWN: ("refuted", False),
    },
    T: {
        AFFECTED: ("confirmed", False),
        FIXED: ("confirmed", True),
        BEFORE: ("confirmed", True),
        UNKNOWN: ("confirmed", False),
    },
    U: {
        AFFECTED: ("likely", False),
        FIXED: ("already-fixed", False),
        BEFORE: ("not-affected", False),
        UNKNOWN: ("possible", False),
    },
}


def expected(signature: Truth, state: Truth, version: VersionStatus, excepted: bool) -> tuple[str, bool] | None:
    if signature is F:
        return None
    if signature is U:
        return ("possible" if state is T else "incomplete", False)
    return ("excepted", False) if excepted else TABLE[state][version]


@pytest.mark.parametrize(
    ("signature", "state", "version", "excepted"),
    list(product((T, F, U), (T, F, U), VersionStatus, (False, True))),
)
def test_every_row_of_the_table(signature: Truth, state: Truth, version: VersionStatus, excepted: bool) -> None:
    judgement = combine(signature, state, version, excepted)
    found = None if judgement is None else (judgement.verdict.value, judgement.version_conflict)
    assert found == expected(signature, state, version, excepted)


@pytest.mark.parametrize(("state", "version"), list(product((T, F, U), VersionStatus)))
def test_rules_that_are_no_kernel_bug_say_so_in_place_of_likely_and_confirmed(
    state: Truth, version: VersionStatus
) -> None:
    verdict, conflict = TABLE[state][version]
    judgement = combine(T, state, version, excepted=False, kernel_bug=False)
    assert judgement is not None
    if verdict in ("likely", "confirmed") and not conflict:
        assert judgement.verdict is Verdict.NOT_A_KERNEL_BUG
    else:
        assert (judgement.verdict.value, judgement.version_conflict) == (verdict, conflict)


def test_verdicts_are_ordered_as_reports_list_them_and_the_first_five_are_shown() -> None:
    names = [verdict.value for verdict in sorted(Verdict, key=lambda v: v.rank)]
    assert names == [
        "confirmed",
        "likely",
        "already-fixed",
        "possible",
        "not-a-kernel-bug",
        "refuted",
        "not-affected",
        "excepted",
        "incomplete",
    ]
    assert [verdict.value for verdict in Verdict if verdict.shown] == names[:5]
