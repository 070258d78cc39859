"""The corpus of unrelated crashes: every kind of crash in drivers that do not exist, called the way real ones are.

A rule that speaks on one of them names nothing that is its own. Crashes of your own (logs, signature files) can be
added; a rule may say which of those it is for by fitting a case of its own test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from kbmatch.engine.condition import index_entries
from kbmatch.engine.facts import SELECTIVE, Scene, selective_values
from kbmatch.engine.incident import Incident, Kernel, Machine, Source
from kbmatch.engine.index_key import TELLING_KINDS
from kbmatch.engine.kinds import KINDS
from kbmatch.engine.rule import Rule
from kbmatch.engine.signature import Frame, HungTask, Signature
from kbmatch.engine.values import replace
from kbmatch.kb.authoring.rule_tests import Bench

PATH = Path(__file__).resolve().parent.parent / "unrelated.yaml"
_SELECTIVE = frozenset(fact.name for fact in SELECTIVE)
_KERNELS = (
    ("6.1.0-13-amd64", "6.1.55-1", (), "QEMU Standard PC (Q35 + ICH9, 2009)", "kvm"),
    ("5.14.0-362.8.1.el9_3.x86_64", None, (), "Dell Inc. PowerEdge R640/0H28RR, BIOS 2.12.2", None),
    ("4.14.35-1902.5.2.el7uek.x86_64", None, ("O", "E"), "Xen HVM domU, BIOS 4.4.4OVM", "xen"),
    ("6.8.0-31-generic", None, ("W",), "VMware, Inc. VMware20,1/440BX", "vmware"),
    ("6.9.3", None, (), "Amazon EC2 m5.large/, BIOS 1.0", "kvm"),
)


class Corpus:
    """Unrelated crashes, indexed the way rules are looked up, so that a rule is tried only where it could speak."""

    def __init__(self, incidents: Iterable[Incident], bench: Bench) -> None:
        self._bench = bench
        self.incidents = tuple(incidents)
        self._by_key: dict[tuple[str, str], set[int]] = {}
        for number, incident in enumerate(self.incidents):
            for event in incident.events:
                for key in selective_values(Scene(incident, event)):
                    self._by_key.setdefault(key, set()).add(number)

    def fitting(self, rule: Rule) -> Iterator[Incident]:
        """The crashes on which the rule would speak in a report, in order.

        A rule of what is no kernel bug may speak on kinds that say so by themselves: a machine check is the hardware's.
        """
        entries = index_entries(rule.signature, _SELECTIVE)
        numbers = set().union(*(self._by_key.get(key, set()) for key in entries))
        for number in sorted(numbers):
            incident = self.incidents[number]
            if rule.rule_class == "not-a-kernel-bug" and all(e.kind in TELLING_KINDS for e in incident.events):
                continue
            finding = self._bench.finding(rule, incident)
            if finding is not None and (finding.verdict.shown or finding.verdict.value in ("not-affected", "refuted")):
                yield incident


@lru_cache(maxsize=2)
def unrelated_crashes(path: Path = PATH) -> tuple[Incident, ...]:
    """One crash for each kind, each way that it is reported, and each way that the driver is called."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    table: Mapping[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    found: list[Incident] = []
    for kind in KINDS:
        facts = table["kinds"][kind]
        for top in facts["tops"]:
            for name, call in table["calls"].items():
                found.append(_crash(kind, facts, [*top, *call], name, len(found)))
    return tuple(found)


def _crash(kind: str, facts: Mapping[str, Any], names: list[str], call: str, number: int) -> Incident:
    release, package, taint, hardware, hypervisor = _KERNELS[number % len(_KERNELS)]
    modules = {name: "acme" for name in names if name.startswith("acme_")}
    trace = tuple(Frame(name, f"{name}+0x1f/0x40", 0x1F, 0x40, modules.get(name, "")) for name in names)
    event = Signature(
        kind,
        facts["message"],
        fatal=True,
        line=1,
        cpu=0,
        pid=1,
        comm="acmed",
        context="softirq" if "receive" in call or call == "timer" else "task",
        symbol=names[0],
        printed=trace[0].printed,
        offset=0x1F,
        size=0x40,
        module=trace[0].module,
        address=facts.get("address"),
        access="read" if "address" in facts else None,
        tasks=(HungTask("acmed", 1, 122, trace),) if kind == "hung-task" else (),
        trace=trace[1:],
        text=(facts["message"],),
        modules=("acme", "nf_tables", "xfs", "virtio_net", "xen_netfront"),
    )
    kernel = Kernel(release=release, arch="x86_64", package_version=package, taint=taint, livepatched=False)
    source = Source(f"{kind} ({' < '.join(names[:3])})", "corpus", 0)
    return Incident(source, kernel, Machine(hardware, hypervisor, 4), (event,))


def shipped_corpus(bench: Bench, more: Iterable[Incident] = ()) -> Corpus:
    """The shipped crashes, and further ones, ready to be tried."""
    return Corpus([bench.prepared(incident) for incident in (*unrelated_crashes(), *more)], bench)


def with_name(incident: Incident, name: str) -> Incident:
    """The incident under the name that a report about it uses."""
    return replace(incident, source=replace(incident.source, path=name))
