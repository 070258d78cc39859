"""Weak candidates: found by the code that crash and rule share, never an answer, never on a kernel with the fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from kbmatch.engine.affected import Affected, VersionRange
from kbmatch.engine.diagnose import diagnose
from kbmatch.engine.finding import Diagnosis
from kbmatch.engine.incident import Incident, Kernel, LogText, Machine, Source
from kbmatch.engine.rule import Fix, Rule
from kbmatch.engine.signature import Culprit, Frame, Signature
from kbmatch.engine.similarity import POSSIBLE, Similar
from kbmatch.engine.traits import BOARD, FILE, FIX, FUNCTION, SEEN, functions_of, pieces, strength, trait, traits_of
from kbmatch.engine.values import replace
from kbmatch.engine.verdict import Verdict
from kbmatch.engine.weak import with_weak
from kbmatch.kb.store.products import load_products

PRODUCTS = load_products()


def crash(*names: str, kind: str = "null-deref", leftovers: Sequence[str] = (), fatal: bool = True) -> Signature:
    frames = [Frame(name, f"{name}+0x1/0x2", 1, 2, "") for name in names]
    frames += [Frame(name, f"? {name}+0x1/0x2", 1, 2, "", reliable=False) for name in leftovers]
    return Signature(
        kind=kind, message="x", symbol=names[0], trace=tuple(frames), culprit=Culprit(names[0], ""), fatal=fatal
    )


def rule(name: str, kind: str = "kasan", fixed: str = "6.7") -> Rule:
    return Rule(
        id=name,
        title=f"fix of {name}",
        status="test",
        severity="high",
        rule_class="kernel-bug",
        created="2024-01-01",
        description="",
        signature=Similar(kind=kind, blamed=("acme_create",), top="acme_create", frames=("acme_write",)),
        affected=(Affected("linux", (VersionRange("5.0", fixed),), None),),
        fixes=(Fix("a" * 12, "x"),),
    )


class Shelf:
    """Rules with the traits that they have in common with whatever is asked, and where functions are defined."""

    def __init__(self, *held: tuple[float, Rule]) -> None:
        self.held = held
        self.asked: Mapping[str, float] = {}

    def homes(self, functions: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        return {name: ("drivers/acme/umad.c",) for name in functions if name == "send_handler"}

    def related(self, traits: Mapping[str, float], most: int) -> Sequence[tuple[float, Rule, tuple[str, ...]]]:
        self.asked = traits
        clues = tuple(name for name in traits if name[0] in (FIX, BOARD))
        return [(value, rule, (*clues, trait(FILE, "drivers/acme/umad.c"))) for value, rule in self.held[:most]]

    def candidates(self, keys: object, probes: object) -> Sequence[Rule]:
        return ()

    def get(self, rule_id: str) -> Rule | None:
        return None


def diagnosed(shelf: Shelf, *events: Signature, release: str = "6.6.0") -> Diagnosis:
    kernel = PRODUCTS.identify(Kernel(release=release))
    incident = Incident(Source("-", "console", 0), kernel=kernel, events=events)
    return with_weak(diagnose(incident, shelf, PRODUCTS), shelf, PRODUCTS)


def test_a_rule_about_the_same_file_is_possible_and_no_answer() -> None:
    shelf = Shelf((1.0, rule("cve-2024-10001")))
    found = diagnosed(shelf, crash("acme_free", "send_handler", "acme_done"))
    (finding,) = found.findings
    assert (finding.verdict, found.outcome) == (Verdict.POSSIBLE, "needs-escalation")
    assert finding.score < POSSIBLE
    assert finding.signature.observed == ("in drivers/acme/umad.c",)
    assert trait(FILE, "drivers/acme/umad.c") in shelf.asked


@pytest.mark.parametrize("release", ["6.7.0", "6.8.1", "4.19.0"])
def test_a_kernel_that_cannot_have_the_defect_drops_it(release: str) -> None:
    assert diagnosed(Shelf((1.0, rule("cve-2024-10001"))), crash("acme_free"), release=release).findings == ()


def test_little_in_common_is_chance() -> None:
    assert diagnosed(Shelf((0.1, rule("cve-2024-10001"))), crash("acme_free")).findings == ()


def test_the_fitting_kind_and_the_nearer_fix_come_first() -> None:
    shelf = Shelf(
        (1.0, rule("cve-2024-10001", kind="memory-leak")),
        (0.9, rule("cve-2024-10002", fixed="6.19")),
        (0.9, rule("cve-2024-10003")),
    )
    found = diagnosed(shelf, crash("acme_free"))
    assert [f.rule.id for f in found.findings] == ["cve-2024-10003", "cve-2024-10002", "cve-2024-10001"]


def test_no_more_than_five_are_listed_and_none_twice() -> None:
    shelf = Shelf(*((1.0 - i / 100, rule(f"cve-2024-1000{i}")) for i in range(9)))
    found = diagnosed(shelf, crash("acme_free"))
    assert len(found.findings) == 5
    again = with_weak(found, shelf, PRODUCTS)
    assert len({f.rule.id for f in again.findings}) == len(again.findings)


def test_a_fix_that_the_input_names_and_the_board_lead_to_a_rule() -> None:
    shelf = Shelf((1.0, rule("cve-2024-10001")))
    incident = Incident(
        Source("-", "console", 0),
        kernel=PRODUCTS.identify(Kernel(release="6.6.0")),
        machine=Machine(hardware="Acme X1000/MB1, BIOS 1.2 01/02/2024"),
        events=(crash("acme_free"),),
        log=LogText(b"oops\n> perhaps commit e58a171d35e3 is missing?\n"),
    )
    (finding,) = with_weak(diagnose(incident, shelf, PRODUCTS), shelf, PRODUCTS).findings
    assert {"c:e58a171d35e3", "i:e58a171d35e3", "b:Acme X1000/MB1"} <= set(shelf.asked)
    observed = finding.signature.observed
    assert isinstance(observed, tuple)
    assert observed[0] == "the input names its fix e58a171d35e3, line 2"
    assert "seen on board Acme X1000/MB1" in observed


def test_a_rule_for_a_driver_that_is_not_loaded_is_no_candidate() -> None:
    held = rule("cve-2024-10001")
    elsewhere = replace(held, signature=replace(held.signature, driver=("iwlx",)))  # type: ignore[type-var]
    loaded = tuple(f"module{i}" for i in range(50))
    event = replace(crash("acme_free", "send_handler"), modules=loaded)
    assert diagnosed(Shelf((1.0, elsewhere)), event).findings == ()
    assert diagnosed(Shelf((1.0, elsewhere)), replace(event, modules=(*loaded, "iwlx"))).findings


def test_nothing_stands_beside_what_memory_has_proved() -> None:
    shelf = Shelf((1.0, rule("cve-2024-10001")), (1.0, rule("cve-2024-10002")))
    found = diagnosed(shelf, crash("acme_free"))
    proved = replace(found, findings=(replace(found.findings[0], verdict=Verdict.CONFIRMED),))
    assert with_weak(proved, shelf, PRODUCTS).findings == proved.findings


def test_inner_functions_and_the_fatal_event_mean_more_and_leftovers_little() -> None:
    found = functions_of([crash("late_a", fatal=False), crash("acme_a", "acme_b", leftovers=("stale_c",))])
    assert found["acme_a"] == 1.0 > found["acme_b"] > found["late_a"] > found["stale_c"] > 0


def test_traits_name_functions_words_files_and_the_kernel() -> None:
    found = traits_of([], {"acme_send_mad": 0.5}, {"acme_send_mad": ("drivers/acme/mad.c",)}, "6.13.0-rc3-g1234567")
    assert {trait(FUNCTION, "acme_send_mad"), "p:send", "p:mad", "h:drivers/acme/mad.c", "d:drivers/acme"} <= set(found)
    assert found[trait(SEEN, "6.13.0-rc3-g1234567")] == 1.0
    assert pieces("__x64_sys_mount") == {"x64", "sys", "mount"}


def test_functions_add_up_files_do_not_and_words_only_to_a_limit() -> None:
    assert strength([("f:a", 0.4), ("f:b", 0.4)]) == pytest.approx(0.8)
    assert strength([("h:a.c", 0.4), ("h:b.c", 0.3)]) == pytest.approx(0.4)
    assert strength([(f"p:{i}", 0.2) for i in range(20)]) < strength([("f:a", 0.5), ("f:b", 0.5)])
