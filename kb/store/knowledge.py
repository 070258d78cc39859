"""The knowledge base: the shipped folder and further ones, compiled; hands out what a diagnosis asks for."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kbmatch.engine.culprit import HelperFrames
from kbmatch.engine.products import Products
from kbmatch.engine.rule import ACTIVE_STATUSES, Rule
from kbmatch.engine.values import dataclass
from kbmatch.engine.version import VERSION
from kbmatch.kb.store.cache import BUILT, open_compiled, open_read_only
from kbmatch.kb.store.files import SHIPPED, KnowledgeFiles, find_files
from kbmatch.kb.store.layer import Layer, heads_of, layouts_of, probe_of
from kbmatch.kb.store.tables import WHOLE

if TYPE_CHECKING:  # importing probes costs 5 ms, and most runs have none
    from kbmatch.engine.layout import Layout
    from kbmatch.engine.probe import Probe, ProbeHead
    from kbmatch.kb.store.site import Site

DEFAULT_SITE = "/etc/kbmatch/site.yaml"
"""The site file that is used where it is there and no other is named."""


@dataclass(frozen=True, slots=True)
class KnowledgeStamp:
    """What a report says of the knowledge it used.

    `version` is the day of its newest rule, `rules` how many take part, `curated` how many of these were written by
    hand, `digest` SHA-256 over all of it, 16 hex digits a folder; `program` is kbmatch's own version.
    """

    version: str
    rules: int
    digest: str
    overrides: tuple[str, ...]
    curated: int = 0
    program: str = VERSION

    def line(self) -> str:
        """The stamp in one line, for readers."""
        extra = f", with {', '.join(self.overrides)}" if self.overrides else ""
        day = f" of {self.version}" if self.version else ""
        return f"{self.rules} rules ({self.curated} curated){day}, digest {self.digest}, kbmatch {self.program}{extra}"


Bar = Callable[[], AbstractContextManager[Callable[[int, int], None]]]
"""Opens a progress bar: within the context, the callable is told (done, total)."""


@contextmanager
def _no_bar() -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


class KnowledgeBase:
    """Rules, probes and tables: the shipped ones, and the rules and probes of further folders.

    Opened when first asked. A rule of a further folder may not take another rule's id. Every method raises
    KnowledgeError, with all that is wrong in any file, where a folder had to be compiled and could not. `site` is a
    site file (kb/store/site.py); without one, /etc/kbmatch/site.yaml is used where it is there. A file that
    `kbmatch kb build -o` wrote may stand in the place of a folder; one of the whole knowledge replaces the shipped one,
    tables excepted. With `anew` the folders, or without any the shipped one, are compiled whether or not the cache has
    them.
    """

    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        drafts: bool = False,
        site: Path | None = None,
        compiling: Bar = _no_bar,
        anew: bool = False,
    ) -> None:
        self._named = tuple(folders)
        self._site_path = site
        self._compiling = compiling
        self._anew = anew
        self._statuses = ACTIVE_STATUSES | ({"draft"} if drafts else frozenset())

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """The further folders and compiled files in use: those named, then those of the site file."""
        return self._named if self._site is None else (*self._named, *self._site.rules)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What is looked up in, one after the other: the shipped folder, or what takes its place, and the others."""
        carried, key = self._carried()
        whole = [layer for layer in carried if layer.meta("kind") == WHOLE]
        layers = [*(whole or [self._shipped[0]]), *(layer for layer in carried if layer not in whole)]
        for folder in self.folders:
            if not folder.is_file():
                files = find_files(folder)
                key = files.key(key)
                layers.append(self._open_folder(files, key, tuple(layers)))
        return tuple(layers)

    def _carried(self) -> tuple[list[Layer], str]:
        """The compiled files among the folders, and the key of what further folders are checked against."""
        found: list[Layer] = []
        key = self._shipped[1]
        for path in self.folders:
            if path.is_file():
                from kbmatch.kb.store.carried import not_compiled, open_carried

                status = path.stat()
                key += f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
                found.append(open_carried(path, self._statuses))
                if [layer.meta("kind") for layer in found].count(WHOLE) > 1:
                    raise not_compiled(path, "a second file with the whole knowledge; name one of them")
        return found, key

    @cached_property
    def _shipped(self) -> tuple[Layer, str]:
        """The shipped folder, and its key."""
        if BUILT.is_file():
            with suppress(sqlite3.Error):  # damaged: the YAML beside it is still there
                layer = Layer(open_read_only(BUILT), self._statuses, BUILT)
                return layer, layer.meta("digest")
        files = find_files(SHIPPED)
        key = files.key()

        def compile_into(target: sqlite3.Connection) -> None:
            from kbmatch.kb.store.compiler import compile_knowledge

            with self._compiling() as bar:
                compile_knowledge(files, target, progress=bar)

        connection, file = open_compiled("shipped", key, compile_into, anew=self._anew and not self._named)
        return Layer(connection, self._statuses, file), key

    def _open_folder(self, files: KnowledgeFiles, key: str, before: tuple[Layer, ...]) -> Layer:
        connection, file = open_compiled(
            "folder", key, lambda target: self._compile_after(files, before, target), anew=self._anew
        )
        return Layer(connection, self._statuses, file)

    def _compile_after(self, files: KnowledgeFiles, before: Sequence[Layer], target: sqlite3.Connection) -> None:
        """Compile a folder, checked against those before it."""
        from kbmatch.kb.store.compiler import compile_knowledge

        probes = [probe_of(layer, name) for layer in before for name in layer.probe_names()]
        with self._compiling() as bar:
            compile_knowledge(
                files,
                target,
                self.products,
                [probe for probe in probes if probe is not None],
                lambda rule_id: next((f for layer in before if (f := layer.file_of(rule_id))), None),
                bar,
            )

    def compile_together(
        self, files: KnowledgeFiles, target: sqlite3.Connection, before: Sequence[Layer] | None = None
    ) -> None:
        """Compile the files into the open, empty database, checked against the folders `before` (default: the shipped
        one, unless it is among them).

        Raises KnowledgeError with everything that is wrong in any file.
        """
        if before is None:
            before = () if files.folder == SHIPPED else (self._shipped[0],)
        self._compile_after(files, before, target)

    @cached_property
    def products(self) -> Products:
        """The product table."""
        from kbmatch.kb.store.products import table_of

        table = self._shipped[0].document("products")
        assert table is not None
        return table_of(table)

    @cached_property
    def helper_frames(self) -> HelperFrames:
        """The functions that carry no blame."""
        from kbmatch.kb.store.frames import frames_of

        return frames_of(self._shipped[0].plain_document("frames"), "frames.yaml")

    @cached_property
    def probe_fields(self) -> dict[str, dict[str, str]]:
        """Field types of all probes by name, for loading rules; no probe is loaded for it."""
        return {name: fields for layer in self.layers for name, fields in layer.probe_fields().items()}

    @cached_property
    def _site(self) -> Site | None:
        path = self._site_path or (Path(DEFAULT_SITE) if os.path.exists(DEFAULT_SITE) else None)
        if path is None:
            return None
        from kbmatch.kb.store.site import load_site

        return load_site(path)

    def _rule(self, layer: Layer, number: int) -> Rule | None:
        """The rule of that number as this site wants it; None if it does not take part."""
        rule = layer.rule(number, self.products, self.probe_fields)
        if layer.carried and rule is not None and self._stands_before(layer, rule.id):
            return None
        return rule if rule is None or self._site is None else self._site.applied(rule)

    def _stands_before(self, layer: Layer, rule_id: str) -> bool:
        """Whether a folder or file before `layer` has a rule of that id; of a compiled file it was not checked."""
        before = self.layers[: self.layers.index(layer)]
        return any(other.number_of(rule_id) is not None for other in before)

    def ids(self) -> tuple[str, ...]:
        """Ids of all rules, whatever their status."""
        return tuple(sorted(rule_id for layer in self.layers for _, rule_id in layer.ids()))

    def all_rules(self) -> list[Rule]:
        """Every rule by id, whatever its status and whatever the site says: for listing."""
        found = [
            layer.rule(number, self.products, self.probe_fields, any_status=True)
            for layer in self.layers
            for number, _ in list(layer.ids())
        ]
        return sorted((rule for rule in found if rule is not None), key=lambda rule: rule.id)

    def curated(self) -> list[Rule]:
        """The rules that were written by hand, by id, whatever their status: for listing."""
        found = [
            layer.rule(number, self.products, self.probe_fields, any_status=True)
            for layer in self.layers
            for number in list(layer.curated())
        ]
        return sorted((rule for rule in found if rule is not None), key=lambda rule: rule.id)

    def get_any(self, rule_id: str) -> Rule | None:
        """One rule by id or alias (a CVE id, in any case), whatever its status and whatever the site says."""
        for layer in self.layers:
            number = layer.number_named(rule_id)
            if number is not None:
                return layer.rule(number, self.products, self.probe_fields, any_status=True)
        return None

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        """All rules that take part, by id. Loads every one of them: for tools, not for a diagnosis."""
        found: dict[str, Rule] = {}
        for layer in self.layers:
            for number, rule_id in list(layer.ids()):
                rule = self._rule(layer, number)
                if rule is not None:
                    found[rule_id] = rule
        return found

    def probes(self) -> tuple[Probe, ...]:
        """All probes."""
        found = (probe_of(layer, name) for layer in self.layers for name in layer.probe_names())
        return tuple(probe for probe in found if probe is not None)

    def probe(self, probe_id: str) -> Probe | None:
        """One probe by id; of several folders that have it the last one wins."""
        found = (probe_of(layer, probe_id) for layer in reversed(self.layers))
        return next((probe for probe in found if probe is not None), None)

    def probe_heads(self) -> tuple[ProbeHead, ...]:
        """The heads of all probes."""
        found = {head.id: head for layer in self.layers for head in heads_of(layer)}
        return tuple(found.values())

    def register_modules(self) -> frozenset[str]:
        """The modules of whose state a register file alone may tell; nothing is imported to know it."""
        return frozenset(name for layer in self.layers for name in layer.register_modules())

    def layouts(self) -> tuple[Layout, ...]:
        """All layouts, those of further folders first."""
        return tuple(layout for layer in reversed(self.layers) for layout in layouts_of(layer))

    def get(self, rule_id: str) -> Rule | None:
        """One rule by id, None if there is none such among those that take part."""
        for layer in self.layers:
            number = layer.number_of(rule_id)
            if number is not None:
                return self._rule(layer, number)
        return None

    def candidates(self, keys: Iterable[tuple[str, str]], probes: Iterable[str]) -> Sequence[Rule]:
        """Rules with at least one selective leaf among `keys`, or with a state condition on one of `probes`; by id."""
        keys, probes = list(keys), list(probes)
        found: list[Rule] = []
        for layer in self.layers:
            for number in layer.numbers(keys, probes):
                rule = self._rule(layer, number)
                if rule is not None:
                    found.append(rule)
        return sorted(found, key=lambda rule: rule.id)

    def homes(self, functions: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """The source files that define each of the functions; empty for those that no rule is about."""
        names = list(functions)
        found: dict[str, tuple[str, ...]] = {}
        for layer in self.layers:
            found.update(layer.homes(names))
        return found

    def related(self, traits: Mapping[str, float], most: int) -> Sequence[tuple[float, Rule, tuple[str, ...]]]:
        """(strength, rule, traits that both have) of the rules that have most in common with a crash, best first."""
        from kbmatch.engine.traits import strength

        listed = [
            (strength(shared), layer, number, shared)
            for layer in self.layers
            for number, shared in layer.related(traits).items()
        ]
        listed.sort(key=lambda item: (-item[0], item[2]))
        found: list[tuple[float, Rule, tuple[str, ...]]] = []
        for value, layer, number, shared in listed[:most]:
            rule = self._rule(layer, number)
            if rule is not None:
                names = sorted(shared, key=lambda pair: -pair[1])
                found.append((value, rule, tuple(name for name, _ in names)))
        return found

    @cached_property
    def stamp(self) -> KnowledgeStamp:
        """Version, number of rules that take part, digest, and the further folders in use."""
        digest = "+".join(layer.meta("digest") for layer in self.layers)
        count = sum(layer.count() for layer in self.layers)
        curated = sum(layer.count("curated") for layer in self.layers)
        newest = max(layer.meta("newest") for layer in self.layers)
        overrides = list(map(str, self._named))
        if self._site is not None:
            off = [rule for rule_id in self._site.disabled if (rule := self.get_any(rule_id)) is not None]
            off = [rule for rule in off if rule.status in self._statuses]
            count -= len(off)
            curated -= sum("#" not in (rule.file or "") for rule in off)
            overrides.append(self._site.summary())
        return KnowledgeStamp(newest, count, digest, tuple(overrides), curated)

    def open(self) -> None:
        """Open every folder and the site file now, so that what is wrong is an error whatever the input holds."""
        _ = self.layers, self._site


def load_rules(*folders: str | Path, drafts: bool = False, site: str | Path | None = None) -> KnowledgeBase:
    """The shipped rules and those of further folders, opened: `load_rules("my-rules")`.

    Raises KnowledgeError with everything that is wrong in any of them.
    """
    knowledge = KnowledgeBase(
        [Path(folder) for folder in folders], drafts=drafts, site=None if site is None else Path(site)
    )
    knowledge.open()
    return knowledge
