"""kbmatch kb build and kb verify: knowledge in one file that travels, and what is said of damaged and hostile files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kbmatch.cli.main import main
from kbmatch.engine.errors import KbmatchError, KnowledgeError
from kbmatch.kb.authoring.verify import verify
from kbmatch.kb.store.cache import cache_folder
from kbmatch.kb.store.files import FORMAT
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.tables import content_digest

ROOT = Path(__file__).resolve().parents[2]
RULE = """\
format: 1
id: {id}
title: a title of {id}
status: stable
severity: low
created: "2026-11-23"
description: x
signature: {{all: [{{kind: bug}}, {{symbol: {symbol}}}]}}
"""
LOG = """\
kernel BUG at lib/acme.c:7!
invalid opcode: 0000 [#1] SMP
CPU: 0 PID: 1 Comm: acme Not tainted 6.1.0 #1
RIP: 0010:{symbol}+0x1b/0x20 [acme]
Call Trace:
 acme_irq+0x17/0x1d0 [acme]
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with two rules."""
    folder = tmp_path / "rules"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"acme-{number}.yaml").write_text(RULE.format(id=f"acme-{number}", symbol=f"acme_fn_{number}"))
    return folder


@pytest.fixture
def carried(rules: Path, tmp_path: Path) -> Path:
    """The folder, compiled into one file."""
    target = tmp_path / "acme.kbmatch"
    assert main(["kb", "build", str(rules), "-o", str(target)]) == 0
    return target


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "dmesg.log"
    path.write_text(LOG.format(symbol="acme_fn_2"))
    return path


def found(log: Path, *rules: Path) -> set[str]:
    """Ids of the rules that speak on the log."""
    from kbmatch.collectors import collect
    from kbmatch.engine import match

    knowledge = KnowledgeBase(rules)
    return {finding.rule.id for finding in match(collect(str(log), knowledge), knowledge).findings}


def test_a_carried_file_answers_as_its_folder_does(carried: Path, rules: Path, log: Path) -> None:
    assert found(log, rules) == found(log, carried) == {"acme-2"}
    shutil.rmtree(rules)
    assert found(log, carried) == {"acme-2"}, "the folder is not needed any more"


def test_build_tells_what_it_made(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "x.kbmatch"
    assert main(["kb", "build", str(rules), "-o", str(target)]) == 0
    printed = capsys.readouterr().out
    assert "2 rules (2 stable)" in printed
    assert "2 index entries" in printed
    assert str(rules) in printed
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".x")] == []


def test_problems_are_told_with_file_and_line_and_nothing_is_written(
    rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (rules / "acme-1.yaml").write_text(RULE.format(id="acme-1", symbol="x").replace("kind: bug", "kinds: bug"))
    (rules / "acme-2.yaml").write_text(RULE.format(id="acme-9", symbol="x"))
    target = tmp_path / "x.kbmatch"
    for arguments in (["-o", str(target)], []):
        assert main(["kb", "build", str(rules), *arguments]) == 2
        errors = capsys.readouterr().err
        assert f"{rules}/acme-1.yaml:8:" in errors
        assert f"{rules}/acme-2.yaml:2:" in errors
        assert "nothing was built: 2 problems in 2 files" in errors
    assert not target.exists()


def test_build_replaces_compiled_knowledge_but_no_other_file(
    carried: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kb", "build", str(rules), "-o", str(carried)]) == 0
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    assert main(["kb", "build", str(rules), "-o", str(notes)]) == 2
    assert notes.read_text() == "mine"
    assert "is there already" in capsys.readouterr().err
    assert main(["kb", "build", str(rules), "-o", str(tmp_path / "absent/x")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_whole_knowledge_in_one_file_takes_the_place_of_the_shipped(tmp_path: Path) -> None:
    target = tmp_path / "whole.kbmatch"
    assert main(["kb", "build", "-o", str(target)]) == 0
    own, carried = KnowledgeBase(), KnowledgeBase([target])
    assert carried.stamp.rules == own.stamp.rules
    assert carried.stamp.digest == own.stamp.digest
    assert carried.ids() == own.ids()
    assert carried.probes() == own.probes()
    assert carried.layouts() == own.layouts()
    assert set(carried.probe_heads()) == set(own.probe_heads())
    case = ROOT / "examples/founding-case/crash-session.txt"
    assert found(case, target) == found(case)
    with pytest.raises(KnowledgeError, match="second file with the whole"):
        KnowledgeBase([target, target]).open()


def test_of_a_rule_that_stands_twice_the_first_is_used(carried: Path, rules: Path, log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.kbmatch"
    shutil.copy(carried, copy)
    assert found(log, carried, copy) == {"acme-2"}
    knowledge = KnowledgeBase([carried, copy])
    assert len(knowledge.candidates([("symbol", "acme_fn_2")], [])) == 1


def test_verify_finds_nothing_wrong_with_what_was_just_built(carried: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["kb", "verify", str(carried)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("  ok ") == 5
    assert "2 fit their own rule" in printed


def test_verify_tells_which_rules_changed_and_what_to_do(
    carried: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (rules / "acme-1.yaml").write_text(RULE.format(id="acme-1", symbol="other_fn"))
    (rules / "acme-2.yaml").unlink()
    (rules / "acme-3.yaml").write_text(RULE.format(id="acme-3", symbol="acme_fn_3"))
    capsys.readouterr()
    assert main(["kb", "verify", str(carried)]) == 1
    printed = capsys.readouterr().out
    assert "1 rule added (acme-3); 1 rule removed (acme-2); 1 rule changed (acme-1)" in printed
    assert f"kbmatch kb build {rules} -o {carried}" in printed
    assert main(["kb", "build", str(rules), "-o", str(carried)]) == 0
    assert main(["kb", "verify", str(carried)]) == 0
    shutil.rmtree(rules)
    capsys.readouterr()
    assert main(["kb", "verify", str(carried)]) == 0
    assert "not on this machine" in capsys.readouterr().out


def test_verify_looks_at_all_that_is_in_use(rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("format: 1\nrules: [rules]\n")
    assert main(["kb", "verify", "--site", str(site)]) == 0
    printed = capsys.readouterr().out
    assert "shipped-v" in printed
    assert f"up to date with {rules}" in printed


def test_folders_of_the_site_file_take_part(rules: Path, log: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("format: 1\nrules: [rules]\n")
    knowledge = KnowledgeBase(site=site)
    assert knowledge.get("acme-1") is not None
    assert knowledge.stamp.overrides == (f"{site} (adds {rules})",)


Harm = Callable[[Path], object]


def _sql(*statements: str, digest: bool = True) -> Harm:
    """Change rows, and write the digest that belongs to them: only the other checks are left to see it."""

    def harm(path: Path) -> None:
        with sqlite3.connect(path) as database:
            for statement in statements:
                database.execute(statement)
            if digest:
                database.execute("UPDATE meta SET value = ? WHERE name = 'content'", (content_digest(database),))

    return harm


def _bytes(change: Callable[[bytes], bytes]) -> Harm:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE meta (name, value)")
        database.execute("INSERT INTO meta VALUES ('format', ?)", (str(FORMAT),))


NO_KNOWLEDGE: dict[str, tuple[Harm, str]] = {
    "cut": (_bytes(lambda data: data[:5000]), "cut off"),
    "empty": (_bytes(lambda data: b""), "neither a folder of rules nor"),
    "text": (_bytes(lambda data: b"hello\n"), "neither a folder of rules nor"),
    "header alone": (_bytes(lambda data: data[:100]), "cut off"),
    "noise behind the header": (_bytes(lambda data: data[:100] + os.urandom(len(data) - 100)), "tables are not those"),
    "another database": (_other_database, "tables are not those"),
    "an older format": (_sql("UPDATE meta SET value = '3' WHERE name = 'format'"), "of format 3"),
    "a format of text": (_sql("UPDATE meta SET value = 'x' WHERE name = 'format'"), "of format unknown"),
    "a view": (_sql("CREATE VIEW more AS SELECT * FROM rule"), "tables are not those"),
    "a trigger": (_sql("CREATE TRIGGER t AFTER INSERT ON rule BEGIN DELETE FROM rule; END"), "tables are not those"),
    "a table less": (_sql("DROP TABLE probed", digest=False), "tables are not those"),
}


@pytest.mark.parametrize("harm", NO_KNOWLEDGE)
def test_what_is_no_compiled_knowledge_is_an_error(
    harm: str, carried: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = NO_KNOWLEDGE[harm]
    change(carried)
    capsys.readouterr()
    for command in (["kb", "verify", str(carried)], ["core", str(log), "--rules", str(carried)]):
        assert main(command) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert str(carried) in errors


DAMAGE: dict[str, tuple[Harm, str]] = {
    "a letter": (_bytes(lambda data: data.replace(b"a title", b"a tltle")), "not what was written"),
    "a page of the rules": (_sql("UPDATE rule SET document = '{' WHERE number = 1"), "does not load"),
    "a rule of another id": (_sql("UPDATE rule SET id = 'other' WHERE number = 1"), "holds acme-2"),
    "a document of another shape": (_sql("UPDATE rule SET document = '[1, 2]'"), "does not load"),
    "bytes in place of text": (_sql("UPDATE rule SET document = x'ff00ff', file = 7"), "does not load"),
    "a wild regular expression": (
        _sql("UPDATE rule SET document = replace(document, '\"acme_fn_2\"', '{\"matches\":\"(a+)+$\"}')"), "not load"),
    "deep nesting": (_sql(f"UPDATE rule SET document = '{'[' * 5000}{']' * 5000}'"), ""),
    "no number of rules": (_sql("UPDATE meta SET value = 'many' WHERE name = 'rules stable'"), "does not hold the"),
    "an index that leads nowhere": (_sql("INSERT INTO entry VALUES ('symbol', 'x', 99)"), "which there is not"),
    "a rule that nothing leads to": (_sql("DELETE FROM entry WHERE rule = 1"), "cannot be found by anything"),
    "an index of other names": (_sql("UPDATE entry SET value = 'x' || value"), "does not lead to"),
    "folders that are none": (_sql("UPDATE meta SET value = '7' WHERE name = 'folders'"), "cannot be read"),
    "a table of fields that is none": (_sql("UPDATE document SET json = '[[]]' WHERE name = 'probe-fields'"), "no tab"),
    "modules that are none": (_sql("UPDATE document SET json = '7' WHERE name = 'register-modules'"), ""),
    "a probe that is none": (_sql("INSERT INTO document VALUES ('written-probe x', '{\"format\": 1}')"), "missing"),
}  # fmt: skip


@pytest.mark.parametrize("harm", DAMAGE)
def test_damage_is_found_by_verify_and_never_a_traceback(
    harm: str, carried: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = DAMAGE[harm]
    change(carried)
    capsys.readouterr()
    if harm != "modules that are none":
        assert main(["kb", "verify", str(carried)]) in (1, 2)
        captured = capsys.readouterr()
        assert message in captured.out + captured.err
        assert "build" in captured.out + captured.err
    assert main(["core", str(log), "--rules", str(carried)]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_random_damage_never_ends_in_a_traceback(carried: Path, log: Path) -> None:
    """Bytes changed anywhere: each run is an answer or a KbmatchError."""
    import random

    random_ = random.Random(7)
    whole = carried.read_bytes()
    errors = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(random_.choice((1, 4, 40))):
            at = random_.randrange(len(data))
            data[at : at + 8] = random_.randbytes(8)
        carried.write_bytes(data)
        try:
            list(verify(carried, KnowledgeBase(), lambda done, total: None))
            found(log, carried)
        except (KbmatchError, RecursionError):
            errors += 1
    assert errors > 5


def test_a_damaged_cache_is_made_anew_by_build(rules: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    knowledge = KnowledgeBase([rules])
    path = knowledge.layers[1].file
    assert path is not None
    data = path.read_bytes()
    page = int.from_bytes(data[16:18], "big")
    tables = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry'").fetchone()[0]
    path.write_bytes(data[: (tables - 1) * page] + b"\xff" * page + data[tables * page :])
    assert main(["core", str(log), "--rules", str(rules)]) == 2
    assert "kbmatch kb build" in capsys.readouterr().err
    assert main(["kb", "verify", str(rules)]) == 1
    assert f"kbmatch kb build {rules}" in capsys.readouterr().out
    assert main(["kb", "build", str(rules)]) == 0
    assert main(["kb", "verify", str(rules)]) == 0


def test_a_changed_rule_compiles_its_own_folder_alone(rules: Path, tmp_path: Path) -> None:
    """Users' rules are added without a full rebuild: neither the shipped file nor another folder's is written."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "lab.yaml").write_text(RULE.format(id="lab", symbol="lab_fn"))

    def files() -> list[tuple[Path | None, int]]:
        layers = KnowledgeBase([other, rules]).layers
        return [(layer.file, layer.file.stat().st_mtime_ns if layer.file else 0) for layer in layers]

    before = files()
    (rules / "acme-3.yaml").write_text(RULE.format(id="acme-3", symbol="acme_fn_3"))
    after = files()
    assert after[:2] == before[:2]
    assert after[2] != before[2]
    assert files() == after


OPEN = """
import sys
from pathlib import Path
from kbmatch.kb.store.knowledge import KnowledgeBase
print(len(KnowledgeBase([Path(sys.argv[1])]).layers[1].rows("SELECT id FROM rule")))
"""


def test_many_processes_compile_at_once_and_all_see_a_whole_file(rules: Path, tmp_path: Path) -> None:
    KnowledgeBase().open()
    cache = tmp_path / "cache"
    (cache / "kbmatch").mkdir(parents=True)
    for path in cache_folder().glob("shipped-*"):  # the shipped knowledge takes seconds, and is not what is tested
        shutil.copy(path, cache / "kbmatch")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT / ".dev")}
    command = [sys.executable, "-c", OPEN, str(rules)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["2\n"] * 8
    left = sorted(path.name for path in (cache / "kbmatch").iterdir() if not path.name.startswith("shipped-"))
    assert len(left) == 1
    assert left[0].startswith("folder-v")


def test_where_no_cache_can_be_written_rules_are_compiled_in_memory(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root may write anywhere, so the disk is full instead. The shipped knowledge lies in the cache already."""
    KnowledgeBase().open()

    def full(*arguments: object, **keywords: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    knowledge = KnowledgeBase([rules])
    assert knowledge.get("acme-1") is not None
    assert knowledge.layers[1].file is None
    assert main(["kb", "build", str(rules)]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(os.getuid() == 0 and shutil.which("setpriv") is None, reason="needs a user other than root")
def test_a_read_only_home_is_no_hindrance(rules: Path, log: Path) -> None:
    """Another user, whose cache holds the shipped knowledge and cannot be written: pytest's folders are root's own."""
    KnowledgeBase().open()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        cache = place / "cache/kbmatch"
        cache.mkdir(parents=True)
        for path in cache_folder().glob("shipped-*"):
            shutil.copy(path, cache)
            (cache / path.name).chmod(0o644)
        shutil.copytree(rules, place / "rules")
        shutil.copy(log, place)
        held = sorted(path.name for path in cache.iterdir())
        cache.chmod(0o555)
        words = ["core", str(place / log.name), "--rules", str(place / "rules"), "--format", "json"]
        command = [sys.executable, "-m", "kbmatch.cli", *words]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command]
        environment = {
            "HOME": str(place), "XDG_CACHE_HOME": str(place / "cache"), "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT / ".dev"),
        }  # fmt: skip
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
        if "Permission denied" in done.stderr and str(place) not in done.stderr:
            pytest.skip(f"this machine's Python cannot be run by another user: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 1, done.stderr
        assert [finding["rule"] for finding in json.loads(done.stdout)["findings"]] == ["acme-2"]
        assert sorted(path.name for path in cache.iterdir()) == held
        cache.chmod(0o755)
