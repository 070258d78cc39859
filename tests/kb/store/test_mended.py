"""Words of a driver: generous enough that a machine with the driver is never taken for one without it."""

from __future__ import annotations

import pytest

from kbmatch.engine.face import Face
from kbmatch.engine.signature import Signature
from kbmatch.kb.store.mended import MendedCode, driver_words, machines_of


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("drivers/net/wireless/intel/iwlegacy/common.c", "iwl4965 iwlegacy"),
        ("drivers/net/wireless/mediatek/mt76/mt7921/pci.c", "mt7921e"),
        ("drivers/net/ethernet/broadcom/bnxt/bnxt.c", "bnxt_en"),
        ("drivers/net/ethernet/realtek/r8169_main.c", "r8169"),
        ("drivers/net/ethernet/freescale/enetc/enetc.c", "fsl-enetc"),
        ("drivers/gpu/drm/amd/display/dc/resource/dcn21/dcn21_resource.c", "amdgpu"),
        ("drivers/gpu/drm/xe/xe_vm.c", "xe"),
        ("drivers/infiniband/sw/rxe/rxe_qp.c", "rdma_rxe"),
        ("sound/pci/emu10k1/emupcm.c", "snd_emu10k1"),
    ],
)
def test_the_drivers_own_modules_have_a_word(file: str, module: str) -> None:
    loaded = (*(f"other{i}" for i in range(50)), *module.split())
    face = Face(Signature("bug", "x", modules=loaded))
    assert driver_words([file])
    assert not face.lacks(driver_words([file]))
    assert Face(Signature("bug", "x", modules=loaded[:50])).lacks(driver_words([file]))


@pytest.mark.parametrize(
    "file",
    [
        "drivers/usb/core/hub.c",  # built in on many machines
        "drivers/nvme/host/pci.c",
        "drivers/gpu/drm/drm_gem.c",
        "drivers/infiniband/core/cma.c",
        "drivers/media/v4l2-core/v4l2-dev.c",
        "drivers/net/tun.c",
        "drivers/net/virtio_net.c",
        "drivers/net/xen-netfront.c",
        "drivers/net/hyperv/netvsc.c",
        "fs/ext4/inode.c",
        "include/linux/skbuff.h",
    ],
)
def test_of_what_may_be_built_in_nothing_is_said(file: str) -> None:
    assert driver_words([file]) == ()
    assert driver_words(["drivers/net/ethernet/intel/ice/ice_main.c", file]) == () or file.endswith(".h")


@pytest.mark.parametrize(
    ("files", "machines"),
    [
        (["arch/arm64/mm/mmap.c", "arch/arm64/include/asm/pgtable.h"], ("aarch64",)),
        (["arch/x86/kvm/svm.c"], ("x86_64", "i386")),
        (["arch/mips/kernel/smp.c", "arch/loongarch/kernel/smp.c"], ("loongarch64", "mips")),
        (["arch/arm64/mm/mmap.c", "mm/mmap.c"], ()),
        (["mm/mmap.c"], ()),
        ([], ()),
    ],
)
def test_a_fix_in_architectures_code_alone_is_for_their_machines(files: list[str], machines: tuple[str, ...]) -> None:
    assert machines_of(files) == machines


def test_a_crash_shows_mended_code_where_a_function_of_its_folder_is_in_it() -> None:
    code = MendedCode({"acme_a": ("fs/acme/a.c",), "acme_b": ("fs/acme/b.c",), "evict": ("fs/inode.c",)})
    assert code.is_shown(["fs/acme/a.c"], ["evict", "acme_b"])
    assert not code.is_shown(["fs/acme/a.c"], ["evict", "iput"])
    assert code.is_shown(["fs/other/x.c"], ["evict"])  # nothing is known of that file
    assert not code.is_shown(["drivers/acme/x.c"], ["evict"])
