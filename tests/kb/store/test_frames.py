"""kb/frames.yaml: complete, compiled once, errors with their file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kbmatch.engine.errors import KnowledgeError
from kbmatch.engine.kinds import KINDS
from kbmatch.kb.store.frames import PATH, load_helper_frames


def test_shipped_table_is_read_once_and_names_known_kinds() -> None:
    frames = load_helper_frames()
    assert frames is load_helper_frames()
    assert set(frames.by_kind) | set(frames.exceptions) | set(frames.stall_kinds) <= set(KINDS)


@pytest.mark.parametrize(
    ("symbol", "helper"),
    [
        ("memcpy", True),
        ("_raw_spin_lock_irqsave", True),
        ("native_queued_spin_lock_slowpath", True),
        ("refcount_warn_saturate", True),
        ("__list_del_entry_valid_or_report", True),
        ("__schedule", True),
        ("kmem_cache_alloc_noprof", True),
        ("dump_stack_lvl", True),
        ("asm_exc_page_fault", True),
        ("kasprintf", True),
        ("__pm_runtime_resume", True),
        ("clk_core_disable", True),
        ("device_release_driver_internal", True),
        ("attribute_container_class_device_del", True),
        ("iommu_dma_unmap_sg", True),
        ("swiotlb_tbl_map_single", True),
        ("rwbase_rtmutex_lock_state", True),
        ("mmap_read_lock", True),
        ("skb_put_zero", True),
        ("sg_copy_buffer", True),
        ("bitmap_parselist", True),
        ("xa_destroy", True),
        ("bitmap_get_stats", False),
        ("mt_report_fixup", False),
        ("__rb_map_vma", False),
        ("device_node_string", False),
        ("dma_fence_signal", False),
        ("clk_hw_register", False),
        ("platform_get_irq", False),
        ("xennet_poll", False),
        ("ext4_evict_inode", False),
        ("tcp_sendmsg_locked", False),
        ("nfs4_state_manager", False),
        ("print", False),
    ],
)
def test_helpers(symbol: str, helper: bool) -> None:
    assert load_helper_frames().is_helper(symbol, "null-deref") is helper


@pytest.mark.parametrize(
    ("symbol", "kind", "helper"),
    [
        ("ovs_flow_alloc", "memory-leak", True),
        ("alloc_inode", "memory-leak", True),
        ("ovs_flow_alloc", "kasan", False),
        ("nci_allocate_device", "memory-leak", False),
        ("blk_mq_freeze_queue_wait", "hung-task", True),
        ("wait_current_trans", "hung-task", True),
        ("__fdget_pos", "hung-task", False),
        ("wait_current_trans", "null-deref", False),
    ],
)
def test_helpers_of_one_kind(symbol: str, kind: str, helper: bool) -> None:
    assert load_helper_frames().is_helper(symbol, kind) is helper


@pytest.mark.parametrize(
    "symbol",
    [
        "process_one_work",
        "do_syscall_64",
        "__do_syscall",
        "invoke_syscall",
        "system_call_exception",
        "do_trap_ecall_u",
        "handle_sys",
        "__napi_poll",
        "__handle_irq_event_percpu",
        "handle_fasteoi_irq",
        "irq_thread_fn",
        "__flush_smp_call_function_queue",
        "do_one_initcall",
        "ret_from_kernel_user_thread",
        "srcu_invoke_callbacks",
    ],
)
def test_dispatchers_of_all_architectures(symbol: str) -> None:
    assert load_helper_frames().is_dispatcher(symbol)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("common: [", "yaml"),
        ("common: ['(']", "regex"),
        ("common: 3", "list of texts"),
        ("kinds: []", "mapping"),
        ("commom: []", "unknown key 'commom'"),
        ("- a", "mapping"),
    ],
)
def test_a_broken_table_is_refused_with_its_name(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "frames.yaml"
    path.write_text(text)
    with pytest.raises(KnowledgeError) as error:
        load_helper_frames(path)
    assert str(path) in str(error.value)
    assert part in str(error.value)


def test_the_table_reads_the_same_without_libyaml() -> None:
    text = PATH.read_text()
    assert yaml.load(text, Loader=yaml.SafeLoader) == yaml.load(text, Loader=yaml.CSafeLoader)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="No such file"):
        load_helper_frames(tmp_path / "none.yaml")
