"""kbmatch kb build and kb verify: what is compiled, where it lies, and whether it can be relied on."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from kbmatch.cli.options import compiling_bar
from kbmatch.cli.style import plain_text
from kbmatch.engine.errors import KbmatchError, KnowledgeError
from kbmatch.kb.authoring.building import Built, build_cache, build_file
from kbmatch.kb.authoring.verify import OK, SKIPPED, STALE, WRONG, Check, folders_of, verify
from kbmatch.kb.store.cache import BUILT, cache_folder
from kbmatch.kb.store.knowledge import KnowledgeBase
from kbmatch.kb.store.layer import Layer


def build(options: argparse.Namespace) -> int:
    """Compile, and tell what it became. Exit status: 0 built, 2 something is wrong in the rules."""
    folders = [Path(name) for name in options.source]
    started = time.monotonic()
    try:
        if options.output:
            done = [build_file(folders, Path(options.output), compiling_bar)]
        else:
            done = build_cache(KnowledgeBase(folders, site=_site(options), compiling=compiling_bar, anew=True))
    except KnowledgeError as error:
        files = {diagnostic.file for diagnostic in error.diagnostics}
        print(plain_text(str(error)), file=sys.stderr)
        count = len(error.diagnostics)
        print(
            f"kbmatch: nothing was built: {_counted(count, 'problem')} in {_counted(len(files), 'file')}",
            file=sys.stderr,
        )
        return 2
    for built in done:
        _tell(built)
    print(f"{time.monotonic() - started:.1f} s")
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _tell(built: Built) -> None:
    made = "came compiled with kbmatch" if built.file == BUILT else f"from {', '.join(built.folders)}"
    print(plain_text(f"{built.file}: {made}"))
    rules = ", ".join(f"{count:,} {status}" for status, count in built.rules.items())
    print(f"  {_counted(sum(built.rules.values()), 'rule')}" + (f" ({rules})" if rules else ""))
    print(f"  {_counted(built.probes, 'probe')}, {_counted(built.layouts, 'layout')}, {built.entries:,} index entries")
    print(f"  {built.size / 1e6:.1f} MB")


def verify_files(options: argparse.Namespace) -> int:
    """Check compiled files. Exit status: 0 all is well, 1 something is stale or wrong, 2 a file cannot be read."""
    if not options.source:
        return _verify_all(KnowledgeBase(site=_site(options), compiling=compiling_bar))
    status = 0
    knowledge = KnowledgeBase(compiling=compiling_bar)
    for name in options.source:
        path = Path(name)
        if path.is_dir():
            status = max(status, _verify_all(KnowledgeBase([path], site=_site(options), compiling=compiling_bar), path))
        else:
            status = max(status, _report(path, knowledge))
    return status


def _verify_all(knowledge: KnowledgeBase, only: Path | None = None) -> int:
    """Check what a knowledge base uses: the files in the cache, those that came from elsewhere, and what lies about."""
    status = 0
    layers = knowledge.layers
    used: set[Path] = set()
    if BUILT.is_file() and layers[0].file != BUILT and not layers[0].carried:
        _print(
            Check(
                WRONG, f"{BUILT} came with kbmatch and cannot be opened; the rule files are used", "reinstall kbmatch"
            )
        )
        status = 1
    for number, layer in enumerate(layers):
        if layer.file is not None:
            used.add(layer.file)
        if only is not None and only.absolute() not in [folder.absolute() for folder in folders_of(layer)]:
            continue
        if layer.file is None:
            _print(Check(STALE, f"{cache_folder()} cannot be written: every run compiles anew", "set XDG_CACHE_HOME"))
            status = max(status, 1)
            continue
        status = max(status, _report(layer.file, knowledge, layers[:number]))
    if only is None:
        _tell_unused(used)
    return status


def _report(path: Path, knowledge: KnowledgeBase, before: tuple[Layer, ...] | None = None) -> int:
    print(plain_text(str(path)))
    status = 0
    try:
        with compiling_bar() as bar:
            for check in verify(path, knowledge, bar, before):
                _print(check)
                status = max(status, int(check.level not in (OK, SKIPPED)))
    except KbmatchError as error:
        print(plain_text(f"kbmatch: {error}"), file=sys.stderr)
        return 2
    return status


def _print(check: Check) -> None:
    print(plain_text(f"  {check.level:<7} {check.text}"))
    if check.remedy is not None:
        print(plain_text(f"          {check.remedy}"))


def _tell_unused(used: set[Path]) -> None:
    """Files in the cache that nothing uses now; another checkout or another --rules folder may."""
    found = [path for path in cache_folder().glob("*.sqlite") if path not in used]
    if found:
        size = sum(path.stat().st_size for path in found)
        print(
            plain_text(
                f"{cache_folder()}: {_counted(len(found), 'further file')}, {size / 1e6:.0f} MB, not in use here"
            )
        )
        print("  harmless: the newest twenty of a kind are kept; they may be removed at any time")


def _site(options: argparse.Namespace) -> Path | None:
    return None if options.site is None else Path(options.site)
