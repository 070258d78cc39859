"""Type information that the user named: debuginfo files with DWARF or BTF, and what a debuginfod server gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kbmatch.collectors.types.catalogue import TypeCatalogue, TypeSource, UnknownType
from kbmatch.collectors.types.model import BASE_TYPES, VOID, CType, Member, Struct
from kbmatch.collectors.types.type_cache import TypeCache
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Kernel
from kbmatch.engine.layout import LaidStruct

Fetch = Callable[[str], Path | None]
"""A debuginfo file by build id, None where there is none."""


class DebugInfo:
    """The files of --debuginfo, and with `fetch` what --debuginfod finds by build id. Raises UnreadableInput.

    `problems` are lines for the user: files of another build, servers that did not answer.
    """

    def __init__(self, paths: Sequence[str | Path], fetch: Fetch | None = None) -> None:
        self.problems: list[str] = []
        self._named = [FileTypes(Path(path)) for path in paths if not Path(path).is_dir()]
        for file in self._named:
            _ = file.release  # what cannot be read is an error now
        self._below = [FileTypes(path) for name in paths if Path(name).is_dir() for path in _files_below(Path(name))]
        self._fetch = fetch
        self._fetched: dict[str, list[FileTypes]] = {}

    def sources(self, module: str, kernel: Kernel) -> list[TypeSource]:
        """Type sources for a module ("" = the kernel), its own files first; files of another release are left out."""
        below = (file for file in self._below if file.module in (module, ""))
        fitting = [file for file in (*self._named, *below, *self._by_build_id(kernel)) if self._is_of(file, kernel)]
        own = [file for file in fitting if file.module == module]
        return [*own, *(file for file in fitting if file.module != module)]

    def source_line(self, module: str, kernel: Kernel, function: str, offset: int) -> str | None:
        """ "file:line" of a place in a function, by the DWARF of the module's file ("" = the kernel's)."""
        for file in (*self._named, *self._below, *self._by_build_id(kernel)):
            if file.module == module and self._is_of(file, kernel):
                return file.source_line(function, offset)
        return None

    def save(self) -> None:
        """Keep what was read for the next run."""
        for file in (*self._named, *self._below, *(f for files in self._fetched.values() for f in files)):
            file.save()

    def _is_of(self, file: FileTypes, kernel: Kernel) -> bool:
        try:
            release, build_id = file.release, file.build_id
        except UnreadableInput as error:  # one of many below a folder
            self.problems.append(str(error))
            return False
        if release and kernel.release and release != kernel.release:
            why = f"it is of {release}, the dump of {kernel.release}"
        elif not file.module and build_id and kernel.build_id and build_id != kernel.build_id:
            why = "its build id is not that of the dump's kernel"
        else:
            return True
        said = f"{file.path}: not used: {why}"
        if file in self._named and said not in self.problems:  # a folder may hold many kernels
            self.problems.append(said)
        return False

    def _by_build_id(self, kernel: Kernel) -> list[FileTypes]:
        if self._fetch is None or kernel.build_id is None:
            return []
        if kernel.build_id not in self._fetched:
            self._fetched[kernel.build_id] = []
            try:
                path = self._fetch(kernel.build_id)
                if path is not None:
                    self._fetched[kernel.build_id] = [FileTypes(path, module="")]
                else:
                    self.problems.append(f"no debuginfod server knows build id {kernel.build_id}")
            except UnreadableInput as error:
                self.problems.append(str(error))
        return self._fetched[kernel.build_id]


def _files_below(folder: Path) -> list[Path]:
    inside = sorted(p for p in folder.rglob("*") if _is_debuginfo(p.name) and p.is_file())
    if not inside:
        raise UnreadableInput(f"{folder}: no vmlinux and no .ko or .debug file in this folder")
    return inside[:20_000]


def _is_debuginfo(name: str) -> bool:
    return name.endswith((".ko", ".ko.debug", ".btf")) or name.startswith("vmlinux")


def module_name(path: Path) -> str:
    """The module that a file is of, "" for a vmlinux: xen-netfront.ko.debug is of xen_netfront."""
    name = path.name.removesuffix(".debug")
    return name.removesuffix(".ko").replace("-", "_") if name.endswith(".ko") else ""


class FileTypes:
    """The types of one file, kept in the cache: pyelftools is loaded only for what the cache does not hold."""

    def __init__(self, path: Path, module: str | None = None) -> None:
        self.path = path
        self.module = module_name(path) if module is None else module
        self.label = f"debuginfo {path.name}"
        try:
            self._cache = TypeCache(path)
        except OSError as error:
            raise UnreadableInput(
                f"{path}: {error.strerror}; --debuginfo names a vmlinux or a module's .ko file"
            ) from error
        self._opened: TypeSource | None = None
        self._file: Any = None
        self._made: dict[str, CType | None] = {}
        self._types = TypeCatalogue([self])

    @property
    def release(self) -> str:
        """The release that the module was built for, "" where the file does not tell. Raises UnreadableInput."""
        if "release" not in self._cache.facts:
            self._open()
        return self._cache.facts.get("release", "")

    @property
    def build_id(self) -> str:
        """The file's build id in lower-case hex, "" where it has none."""
        return self._cache.facts.get("build-id", "")

    def find(self, name: str) -> CType | None:
        """See TypeSource."""
        if name not in self._made:
            self._made[name] = self._find(name)
        return self._made[name]

    def _find(self, name: str) -> CType | None:
        if name in BASE_TYPES:
            return BASE_TYPES[name]  # no file is opened to learn what an int is
        if f"type {name}" in self._cache.facts:
            return self._resolve(self._cache.facts[f"type {name}"])
        if name not in self._cache.structs:
            from kbmatch.collectors.types.extraction import declaration, laid_out

            found = self._open().find(name)
            if found is None:
                self._cache.put(name, None)
                return None
            if not isinstance(found, Struct):
                self._cache.tell(f"type {name}", declaration(found, name, "", {}))
                return found
            known = found.known_size is not None
            self._cache.put(name, laid_out(found, name) if known else None)
        laid = self._cache.structs[name]
        return None if laid is None else Struct(name, laid.size, lambda: self._members(laid))

    def _members(self, laid: LaidStruct) -> tuple[Member, ...]:
        return tuple(Member(n, self._resolve(m.type_name), m.offset, m.bits) for n, m in laid.members.items())

    def _resolve(self, declared: str) -> CType:
        try:
            return self._types.resolve(declared)
        except UnknownType:
            return VOID

    def source_line(self, function: str, offset: int) -> str | None:
        """ "file:line" of a place in a function of .text (or of a vmlinux), kept in the cache; None if not known."""
        key = f"line {function}+{offset:x}"
        if key not in self._cache.facts:
            try:
                found = self._source_line(function, offset)
            except Exception:
                found = None
            self._cache.tell(key, found or "")
        return self._cache.facts[key] or None

    def _source_line(self, function: str, offset: int) -> str | None:
        from kbmatch.collectors.types.dwarf import DwarfTypes

        self._open()
        from elftools.elf.elffile import ELFFile

        elf: Any = ELFFile(self._file)
        table = elf.get_section_by_name(".symtab")
        symbols = table.get_symbol_by_name(function) if table is not None else None
        for symbol in symbols or ():
            index = symbol["st_shndx"]
            if not isinstance(index, int) or symbol["st_info"]["type"] != "STT_FUNC":
                continue
            if elf["e_type"] == "ET_REL" and elf.get_section(index).name != ".text":
                continue  # every section of a module's file begins at 0
            types = self._opened if isinstance(self._opened, DwarfTypes) else DwarfTypes(elf, self.path)
            return types.source_line(symbol["st_value"] + offset)
        return None

    def save(self) -> None:
        """Write the cache and close the file."""
        self._cache.save()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> TypeSource:
        """The file's own types: raw BTF, a vmlinux's BTF, else DWARF. Raises UnreadableInput."""
        if self._opened is not None:
            return self._opened
        from kbmatch.collectors.types.btf import MAGIC, BadBtf, Btf
        from kbmatch.collectors.types.dwarf import BadDebugInfo, DwarfTypes

        try:
            self._file = self.path.open("rb")
            head = self._file.read(16)
            if head[:2] == MAGIC.to_bytes(2, "little"):
                self._file.seek(0)
                self._opened = Btf(self._file.read(), None, self.label)
                self._cache.tell("release", "")
                return self._opened
            if head[:4] != b"\x7fELF":
                raise UnreadableInput(f"{self.path}: neither ELF nor BTF; --debuginfo names a vmlinux or a .ko file")
            from elftools.elf.elffile import ELFFile

            elf = ELFFile(self._file)
            self._note_facts(elf)
            btf = elf.get_section_by_name(".BTF")
            if btf is not None and elf["e_type"] != "ET_REL":
                self._opened = Btf(btf.data(), None, f"BTF of {self.path.name}")
            else:
                self._opened = DwarfTypes(elf, self.path)
        except (BadBtf, BadDebugInfo) as error:
            raise UnreadableInput(str(error) if str(self.path) in str(error) else f"{self.path}: {error}") from error
        except OSError as error:
            raise UnreadableInput(f"{self.path}: {error.strerror}") from error
        except UnreadableInput:
            raise
        except Exception as error:  # pyelftools raises many kinds on damaged files
            raise UnreadableInput(f"{self.path}: not an ELF file that can be read: {error}") from error
        return self._opened

    def _note_facts(self, elf: Any) -> None:
        info = elf.get_section_by_name(".modinfo")
        words = info.data().split(b"\0") if info is not None and info["sh_type"] != "SHT_NOBITS" else []
        magic = next((w.removeprefix(b"vermagic=") for w in words if w.startswith(b"vermagic=")), b"")
        self._cache.tell("release", magic.split(b" ", 1)[0].decode("ascii", "replace"))
        note = elf.get_section_by_name(".note.gnu.build-id") or elf.get_section_by_name(".notes")
        if note is not None and note["sh_type"] != "SHT_NOBITS":
            for item in note.iter_notes() if hasattr(note, "iter_notes") else ():
                if item["n_type"] == "NT_GNU_BUILD_ID":
                    self._cache.tell("build-id", str(item["n_desc"]))
