"""Words of a driver: generous enough that a machine with the driver is never taken for one without it."""

from __future__ import annotations

import pytest

from kbmatch.engine.face import Face
from kbmatch.engine.signature import Signature
from kbmatch.kb.store.drivers import driver_words


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("drivers/net/wireless/intel/iwlegacy/common.c", "iwl4965 iwlegacy"),
        ("drivers/net/wireless/mediatek/mt76/mt7921/pci.c", "mt7921e"),
        ("drivers/net/ethernet/broadcom/bnxt/bnxt.c", "bnxt_en"),
        ("drivers/net/ethernet/realtek/r8169_main.c", "r8169"),
        ("drivers/net/hyperv/netvsc.c", "hv_netvsc"),
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
        "fs/ext4/inode.c",
        "include/linux/skbuff.h",
    ],
)
def test_of_what_may_be_built_in_nothing_is_said(file: str) -> None:
    assert driver_words([file]) == ()
    assert driver_words(["drivers/net/ethernet/intel/ice/ice_main.c", file]) == () or file.endswith(".h")
