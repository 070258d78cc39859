"""The probes that kbmatch ships: loaded, and checked member by member against the types of a real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbmatch.collectors.probes.type_check import type_problems
from kbmatch.collectors.types.catalogue import TypeCatalogue
from kbmatch.collectors.types.debuginfo import FileTypes
from kbmatch.collectors.types.laid_out import LayoutTypes
from kbmatch.engine.document import Problems
from kbmatch.engine.layout import Layout
from kbmatch.engine.probe import Probe
from kbmatch.kb.store.files import SHIPPED
from kbmatch.kb.store.frozen_probes import layout_of_plain, probe_of_plain, to_plain
from kbmatch.kb.store.layouts import load_layout
from kbmatch.kb.store.probes import load_probe
from kbmatch.kb.store.yaml_reader import read_yaml

PROBES = sorted((SHIPPED / "probes").glob("*.yaml"))
LAYOUTS = sorted((SHIPPED / "layouts").glob("*.yaml"))
DEBUG = Path("/usr/lib/debug")
FILES = {path.stem.replace("-", "_"): path for path in (DEBUG / "lib/modules").rglob("*.ko")}


def loaded(path: Path) -> Probe:
    problems = Problems()
    probe = load_probe(read_yaml(path), problems)
    assert probe is not None, [str(d) for d in problems.diagnostics]
    return probe


def laid(path: Path) -> Layout:
    problems = Problems()
    layout = load_layout(read_yaml(path), problems)
    assert layout is not None, [str(d) for d in problems.diagnostics]
    return layout


@pytest.fixture(scope="module")
def vmlinux() -> FileTypes:
    found = sorted((DEBUG / "boot").glob("vmlinux-*"))
    if not found:
        pytest.skip("DEBUGINFO ABSENT: install a Debian linux-image-*-dbg package to check the probes' structs")
    return FileTypes(found[0])


@pytest.mark.parametrize("path", PROBES, ids=lambda p: p.stem)
def test_every_struct_and_member_is_in_a_real_kernel(path: Path, vmlinux: FileTypes) -> None:
    probe = loaded(path)
    files = [FileTypes(FILES[name]) for name in (probe.module, *probe.uses) if name in FILES]
    problems = type_problems(probe, TypeCatalogue([*files, vmlinux]))
    for file in files:
        file.save()
    vmlinux.save()
    assert problems == []


def test_the_check_notices_a_member_that_is_not_there(vmlinux: FileTypes, tmp_path: Path) -> None:
    text = (SHIPPED / "probes/nvme.yaml").read_text()
    (tmp_path / "nvme.yaml").write_text(text.replace("q->sq_tail", "q->sq_tial").replace("dev->queues", "dev->queuez"))
    problems = type_problems(loaded(tmp_path / "nvme.yaml"), TypeCatalogue([vmlinux]))
    assert any("sq_tial" in line for line in problems)
    assert any("queuez" in line for line in problems)


def test_the_uek5_layout_serves_the_netfront_probe() -> None:
    layout = laid(SHIPPED / "layouts/uek5.yaml")
    types: TypeCatalogue
    types = TypeCatalogue([LayoutTypes(layout, lambda: types)])
    problems = type_problems(loaded(SHIPPED / "probes/xen_netfront.yaml"), types)
    # the walk over all devices needs more than the write-up shows; registers, guard and record do not
    names = [item.name for item in loaded(SHIPPED / "probes/xen_netfront.yaml").record]
    assert [line for line in problems if line.startswith(("root", *names))] == []


@pytest.mark.parametrize("path", PROBES, ids=lambda p: p.stem)
def test_a_probe_survives_being_compiled(path: Path) -> None:
    probe = loaded(path)
    assert probe_of_plain(to_plain(probe)) == probe


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda p: p.stem)
def test_a_layout_survives_being_compiled(path: Path) -> None:
    layout = laid(path)
    assert layout_of_plain(to_plain(layout)) == layout


def test_probe_ids_are_unique() -> None:
    ids = [loaded(path).id for path in PROBES]
    assert len(set(ids)) == len(ids)
