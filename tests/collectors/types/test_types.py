"""Types out of real files: BTF and DWARF agree, the cache opens no file twice, layouts and structs are printed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kbmatch.cli.main import main
from kbmatch.collectors.types.catalogue import TypeCatalogue, UnknownType
from kbmatch.collectors.types.debuginfo import DebugInfo, FileTypes, module_name
from kbmatch.collectors.types.debuginfod import Debuginfod
from kbmatch.collectors.types.laid_out import LayoutTypes
from kbmatch.collectors.types.model import VOID, Array, CType, Pointer, Struct
from kbmatch.engine.document import Problems
from kbmatch.engine.errors import UnreadableInput
from kbmatch.engine.incident import Kernel
from kbmatch.kb.store.layouts import load_layout
from kbmatch.kb.store.yaml_reader import read_yaml

VMLINUX = sorted(Path("/usr/lib/debug/boot").glob("vmlinux-*"))
NETFRONT = sorted(Path("/usr/lib/debug/lib/modules").rglob("xen-netfront.ko"))
needs_debuginfo = pytest.mark.skipif(not VMLINUX or not NETFRONT, reason="DEBUGINFO ABSENT: linux-image-*-dbg")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # not $XDG_CACHE_HOME, where the compiled knowledge is: it would be compiled for every test
    for module in ("type_cache", "debuginfod"):
        monkeypatch.setattr(f"kbmatch.collectors.types.{module}.cache_folder", lambda: tmp_path / "cache/kbmatch/types")


@pytest.fixture
def ringdrv(shared: Path) -> Path:
    return shared / "dumps/symbols/ringdrv.ko"


def shape(type_: CType, depth: int = 3) -> object:
    """What matters of a type: names and offsets, two levels of embedded structs, sizes of the rest."""
    if isinstance(type_, Struct):
        inner = [] if depth == 0 else [(m.name, m.offset, m.bits, shape(m.type, depth - 1)) for m in flat(type_)]
        return type_.size, inner
    if isinstance(type_, Array):
        return type_.count, shape(type_.element, depth)
    return "pointer" if isinstance(type_, Pointer) else type_.size


def flat(type_: Struct) -> list[Any]:
    return [type_.find(name) for name in dict.fromkeys(m.name for m in type_.members if m.name)]


@needs_debuginfo
@pytest.mark.parametrize("name", ["struct napi_struct", "struct list_head", "struct sk_buff_head", "struct device"])
def test_dwarf_of_a_module_and_btf_of_the_kernel_tell_the_same(name: str) -> None:
    by_dwarf = FileTypes(NETFRONT[0]).find(name)
    by_btf = FileTypes(VMLINUX[0]).find(name)
    assert by_dwarf is not None
    assert by_btf is not None
    assert shape(by_dwarf) == shape(by_btf)


@needs_debuginfo
def test_a_struct_is_found_in_a_whole_kernels_dwarf_without_a_walk() -> None:
    from elftools.elf.elffile import ELFFile

    from kbmatch.collectors.types.dwarf import DwarfTypes

    with VMLINUX[0].open("rb") as file:
        types = DwarfTypes(ELFFile(file), VMLINUX[0])
        for name in ("struct request_queue", "struct net", "struct mutex", "enum zone_type"):
            found = types.find(name)
            assert found is not None, name
            assert shape(found, 1) == shape(FileTypes(VMLINUX[0]).find(name) or found, 1)
        assert types.find("struct of_nobody") is None


def test_what_was_read_once_is_not_read_again(ringdrv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = FileTypes(ringdrv)
    wanted = ("struct ringdrv_queue", "struct nobody", "struct napi_struct")
    shapes = [shape(first.find(name) or VOID) for name in wanted]
    first.save()
    second = FileTypes(ringdrv)
    monkeypatch.setattr(second, "_open", lambda: pytest.fail("the file was opened again"))
    assert [shape(second.find(name) or VOID) for name in wanted] == shapes
    assert (second.release, second.module) == ("6.1.0-56-cloud-amd64", "ringdrv")


def test_a_changed_file_is_read_anew_and_a_spoilt_cache_is_none(ringdrv: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ringdrv.ko"
    copy.write_bytes(ringdrv.read_bytes())
    file = FileTypes(copy)
    assert file.find("struct ringdrv_queue") is not None
    file.save()
    (kept,) = (tmp_path / "cache/kbmatch/types").glob("*.json")
    kept.write_text('{"structs": {"struct ringdrv_queue": 7}, "facts": {}}')
    assert FileTypes(copy).find("struct ringdrv_queue") is not None


@pytest.mark.parametrize("cut", [0, 10, 64, 1000, 50_000, 200_000])
def test_a_cut_file_is_one_clear_error_or_knows_less(ringdrv: Path, tmp_path: Path, cut: int) -> None:
    part = tmp_path / "ringdrv.ko"
    part.write_bytes(ringdrv.read_bytes()[:cut])
    said = ""
    try:
        FileTypes(part).find("struct ringdrv_queue")
    except UnreadableInput as error:
        said = str(error)
    assert said in ("", said.replace("\n", " "))
    assert not said or str(part) in said


def test_flipped_bytes_in_dwarf_end_in_bounds(ringdrv: Path, tmp_path: Path) -> None:
    data = bytearray(ringdrv.read_bytes())
    for seed in range(25):
        spoilt = bytearray(data)
        for n in range(200):
            at = (seed * 7919 + n * 104729) % (len(spoilt) - 64) + 64
            spoilt[at] ^= 1 << (seed + n) % 8
        path = tmp_path / f"m{seed}.ko"
        path.write_bytes(spoilt)
        try:
            found = FileTypes(path).find("struct ringdrv_queue")
            if isinstance(found, Struct):
                _ = [m.type.name for m in found.members]
        except UnreadableInput:
            pass


@pytest.mark.parametrize(
    ("declared", "size"),
    [("u32", 4), ("unsigned long", 8), ("struct nothing *", 8), ("char [16]", 16), ("u8 **[4]", 32),
     ("const char *", 8), ("u16 [2][3]", 12), ("volatile unsigned int", 4)],
)  # fmt: skip
def test_declarations_are_read_as_in_c(declared: str, size: int) -> None:
    assert TypeCatalogue([]).resolve(declared).size == size


@pytest.mark.parametrize("declared", ["", "struct", "struct nothing", "nothing_t", "u32 (*f)(int)", "a b c", "u32 [x]"])
def test_what_is_not_known_is_said(declared: str) -> None:
    with pytest.raises(UnknownType):
        TypeCatalogue([]).resolve(declared)


@pytest.mark.parametrize(
    ("name", "module"),
    [("xen-netfront.ko.debug", "xen_netfront"), ("nvme.ko", "nvme"), ("vmlinux", ""), ("vmlinux-6.1.debug", "")],
)
def test_a_files_name_tells_its_module(name: str, module: str) -> None:
    assert module_name(Path(name)) == module


def test_an_extracted_layout_serves_as_types(ringdrv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layout", "extract", str(ringdrv), "ringdrv_queue", "struct ringdrv_info"]) == 0
    (tmp_path / "x.yaml").write_text(capsys.readouterr().out)
    problems = Problems()
    layout = load_layout(read_yaml(tmp_path / "x.yaml"), problems)
    assert layout is not None, problems.diagnostics
    assert layout.fits("6.1.0-56-cloud-amd64", None)
    assert not layout.fits("6.1.0-57-cloud-amd64", None)
    types: TypeCatalogue
    types = TypeCatalogue([LayoutTypes(layout, lambda: types)])
    original = FileTypes(ringdrv)
    for name in ("struct ringdrv_queue", "struct ringdrv_info"):
        there, here = original.find(name), types.find(name)
        assert there is not None
        assert here is not None
        assert shape(here) == shape(there)


def test_structs_that_are_not_there_are_one_clear_error(ringdrv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layout", "extract", str(ringdrv), "nothing"]) == 2
    assert capsys.readouterr().err == f"kbmatch: {ringdrv}: no struct nothing in its types\n"


def test_a_struct_is_printed_as_crash_prints_it(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = json.loads((shared / "dumps/truth/a-napi.json").read_text())
    (queue,) = (q for q in truth["queues"] if q["id"] == 1)
    dump, module = shared / "dumps/a-napi.trim.zlib.vmcore", shared / "dumps/symbols/ringdrv.ko"
    words = ["struct", str(dump), "struct ringdrv_queue.rx", queue["addr"], "--debuginfo", str(module)]
    assert main(words) == 0
    assert capsys.readouterr().out == (
        "  rx = {\n    req_prod_pvt = 255,\n    rsp_cons = 4294967295,\n    nr_ents = 256,\n"
        f"    sring = {queue['sring']}\n  }}\n"
    )
    assert main(["struct", str(dump), "napi_struct", queue["napi_addr"]]) == 0
    out = capsys.readouterr().out
    assert out.startswith("struct napi_struct {\n  poll_list = {\n    next = 0xffff")
    assert "\n  weight = 64,\n" in out
    assert " <ringdrv_poll>,\n" in out


@pytest.mark.parametrize(
    ("type_", "address", "said"),
    [("struct nothing", "modules", "no such struct"), ("struct list_head", "zz", "neither"), ("1", "0", "no type"),
     ("struct list_head", "10", "0x10"), ("struct list_head.nothing", "modules", "no member nothing")],
)  # fmt: skip
def test_what_cannot_be_printed_is_one_clear_error(
    shared: Path, capsys: pytest.CaptureFixture[str], type_: str, address: str, said: str
) -> None:
    assert main(["struct", str(shared / "dumps/a-napi.trim.zlib.vmcore"), type_, address]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


BUILD_ID = "ab" * 20


class Server(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = b""
    cut: ClassVar[int | None] = None
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if BUILD_ID not in self.path:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        self.wfile.write(self.body[start : self.cut])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(ringdrv: Path) -> Iterator[str]:
    Server.body, Server.cut = ringdrv.read_bytes(), None
    Server.asked.clear()
    running = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def test_debuginfod_is_asked_by_build_id_once(server: str) -> None:
    fetch = Debuginfod([server])
    path = fetch(BUILD_ID)
    assert path is not None
    assert path.read_bytes() == Server.body
    assert fetch(BUILD_ID) == path
    assert Server.asked == [(f"/buildid/{BUILD_ID}/debuginfo", None)]
    assert fetch("cd" * 20) is None
    assert fetch("../../etc/passwd") is None


def test_a_broken_download_goes_on_where_it_broke(server: str) -> None:
    Server.cut = 100_000
    with pytest.raises(UnreadableInput, match="broke"):
        Debuginfod([server])(BUILD_ID)
    Server.cut = None
    path = Debuginfod([server])(BUILD_ID)
    assert path is not None
    assert path.read_bytes() == Server.body
    assert Server.asked[-1][1] == "bytes=65536-"  # whole blocks are kept


def test_a_server_that_cannot_be_reached_is_a_line_for_the_user() -> None:
    info = DebugInfo([], Debuginfod(["http://127.0.0.1:9"]))
    assert info.sources("", Kernel(release="x", build_id=BUILD_ID)) == []
    assert any("could not be fetched" in line for line in info.problems)


def test_debuginfod_without_a_server_is_one_clear_error(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    assert main(["core", str(shared / "dumps/a-napi.trim.zlib.vmcore"), "--debuginfod"]) == 2
    assert "DEBUGINFOD_URLS" in capsys.readouterr().err
