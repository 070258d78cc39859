"""Products are recognised in real release strings, banners and version texts, as bug reports and logs print them."""

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbmatch.engine.incident import Kernel
from kbmatch.engine.products import Product, Products
from kbmatch.kb.store.products import load_products

PRODUCTS = load_products()


def identify(release: str | None, version: str | None = None, banner: str | None = None) -> Kernel:
    return PRODUCTS.identify(Kernel(release=release, version=version, banner=banner))


# release, version text -> product, stream, package version, upstream base
@pytest.mark.parametrize(
    ("release", "version", "expected"),
    [
        # Oracle
        ("4.1.12-124.36.1.el6uek.x86_64", "#2 SMP", ("uek4", "124", None, None)),
        ("4.14.35-1818.3.3.el7uek.x86_64", None, ("uek5", "1818", None, None)),
        ("4.14.35-1844.5.0.el7uek.x86_64", None, ("uek5", "1844", None, None)),
        ("4.14.35-1902.5.2.el7uek.x86_64", "#2 SMP Wed Aug 28", ("uek5", "1902", None, None)),
        ("4.14.35-2047.542.2.el7uek.x86_64", None, ("uek5", "2047", None, None)),
        ("5.4.17-2011.7.4.el8uek.x86_64", None, ("uek6", "2011", None, None)),
        ("5.4.17-2136.310.7.1.el8uek.x86_64", None, ("uek6", "2136", None, None)),
        ("5.15.0-3.60.5.1.el9uek.x86_64", None, ("uek7", "0", None, None)),
        ("5.15.0-100.96.32.el8uek.x86_64", None, ("uek7", "100", None, None)),
        ("5.15.0-106.131.4.el8uek.x86_64.debug", None, ("uek7", "100", None, None)),
        ("5.15.0-208.159.3.2.el9uek.x86_64", None, ("uek7", "200", None, None)),
        ("5.15.0-318.199.3.2.el8uek.x86_64", None, ("uek7", "300", None, None)),
        ("6.12.0-100.28.2.el10uek.x86_64", None, ("uek8", "100", None, None)),
        ("6.12.0-203.76.7.1.el9uek.x86_64", None, ("uek8", "200", None, None)),
        # RHEL and rebuilds, without a banner
        ("3.10.0-327.28.2.el7.x86_64", None, ("rhel7", "7.2", None, None)),
        ("3.10.0-862.14.4.el7.x86_64", None, ("rhel7", "7.5", None, None)),
        ("3.10.0-1160.71.1.el7.x86_64", None, ("rhel7", "7.9", None, None)),
        ("3.10.0-1160.el7.centos.plus.x86_64", None, ("rhel7", "7.9", None, None)),
        ("4.18.0-80.11.2.el8_0.x86_64", None, ("rhel8", "8.0", None, None)),
        ("4.18.0-240.10.1.el8_3.x86_64", "#1", ("rhel8", "8.3", None, None)),
        ("4.18.0-372.9.1.el8.x86_64", None, ("rhel8", "8.6", None, None)),
        ("4.18.0-477.el8.x86_64", None, ("rhel8", "8.8", None, None)),
        ("4.18.0-477.10.1.el8_8.x86_64", None, ("rhel8", "8.8", None, None)),
        ("4.18.0-553.117.1.el8_10.x86_64", "#1", ("rhel8", "8.10", None, None)),
        ("5.14.0-1.el9.x86_64", None, ("rhel9", None, None, None)),
        ("5.14.0-162.12.1.el9_1.0.2.x86_64", None, ("rhel9", "9.1", None, None)),
        ("5.14.0-570.26.1.el9_6.x86_64", None, ("rhel9", "9.6", None, None)),
        ("6.12.0-55.34.1.el10_0.x86_64+rt", None, ("rhel10", "10.0", None, None)),
        # Ubuntu
        ("5.4.0-122-generic", "#138-Ubuntu SMP Wed Jun 22", ("ubuntu", "5.4", "5.4.0-122.138", None)),
        ("5.4.0-66-generic", "#74~18.04.2-Ubuntu SMP", ("ubuntu", "5.4", "5.4.0-66.74~18.04.2", None)),
        ("5.8.0-59-generic", "#66~20.04.1-Ubuntu", ("ubuntu", "5.8", "5.8.0-59.66~20.04.1", None)),
        ("5.8.0-59-generic", None, ("ubuntu", "5.8", None, None)),
        ("5.4.0-1032-azure", "#33~18.04.1-Ubuntu SMP", ("ubuntu", "5.4-azure", "5.4.0-1032.33~18.04.1", None)),
        ("7.0.0-1004-aws", "#4-Ubuntu SMP PREEMPT", ("ubuntu", "7.0-aws", "7.0.0-1004.4", None)),
        (
            "4.15.0-66-generic",
            "#75-Ubuntu SMP Tue Oct 1 05:24:09 UTC 2019 (Ubuntu 4.15.0-66.75-generic 4.15.18)",
            ("ubuntu", "4.15", "4.15.0-66.75", "4.15.18"),
        ),
        (
            "6.8.0-1063-aws",
            "#66~22.04.1-Ubuntu SMP Fri Aug  7 17:45:18 UTC 2026 (Ubuntu 6.8.0-1063.66~22.04.1-aws 6.8.12)",
            ("ubuntu", "6.8-aws", "6.8.0-1063.66~22.04.1", "6.8.12"),
        ),
        # Debian
        (
            "6.1.0-56-cloud-amd64",
            "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)",
            ("debian", "12", "6.1.192-2", "6.1.192"),
        ),
        ("6.1.0-56-cloud-amd64", "#1  Debian 6.1.192-2", ("debian", "12", "6.1.192-2", "6.1.192")),
        ("6.1.0-56-cloud-amd64", None, ("debian", None, None, None)),
        ("4.19.0-13-amd64", "#1 SMP Debian 4.19.160-2 (2020-11-28)", ("debian", "10", "4.19.160-2", "4.19.160")),
        ("5.10.0-16-amd64", "#1 SMP Debian 5.10.127-2", ("debian", "11", "5.10.127-2", "5.10.127")),
        (
            "5.10.0-0.bpo.9-amd64",
            "#1 SMP Debian 5.10.70-1~bpo10+1 (2021-10-10)",
            ("debian", None, "5.10.70-1~bpo10+1", "5.10.70"),
        ),
        (
            "3.16.0-4-686-pae",
            "#1 SMP Debian 3.16.7-ckt11-1+deb8u2 (2015-07-17)",
            ("debian", None, "3.16.7-ckt11-1+deb8u2", "3.16.7"),
        ),
        ("6.12.63+deb13-amd64", None, ("debian", "13", None, "6.12.63")),
        # SUSE
        ("4.12.14-95.3-default", None, ("sle", "12-SP4", None, None)),
        ("4.12.14-197.45-default", None, ("sle", "15-SP1", None, None)),
        ("5.3.18-57-default", None, ("sle", "15-SP3", None, None)),
        ("5.3.18-24.102-default", None, ("sle", "15-SP2", None, None)),
        ("5.14.21-150400.24.103-default", None, ("sle", "15-SP4", None, None)),
        ("6.4.0-150600.8.37-azure", None, ("sle", None, None, None)),
        ("6.4.0-150600.23.14-default", "#1 SLE15-SP6 b44ee71c", ("sle", "15-SP6", None, None)),
        ("6.12.0-160000.9-default", None, ("sle", "16.0", None, None)),
        ("6.7.9-1-default", None, ("tumbleweed", None, None, "6.7.9")),
        ("6.8.0-rc3-1.gae4495f-default", "#1 openSUSE Tumbleweed", ("tumbleweed", None, None, "6.8-rc3")),
        # Fedora, Amazon, Arch, Android
        ("6.13.8-200.fc41.x86_64", None, ("fedora", "41", None, "6.13.8")),
        ("4.0.5-300.fc22.x86_64+debug", None, ("fedora", "22", None, "4.0.5")),
        ("5.13.0-0.rc1.20210512git88b06399c9c7.15.fc35.x86_64", None, ("fedora", "35", None, "5.13-rc1")),
        ("6.8.0-0.rc0.20240109git9f8413c4a66f.1.fc40.x86_64", None, ("fedora", "40", None, "6.8-rc0")),
        ("5.4.95-42.163.amzn2.x86_64", "#1", ("amzn2", "5.4", None, "5.4.95")),
        ("6.1.159-181.297.amzn2023.x86_64", None, ("amzn2023", "6.1", None, "6.1.159")),
        ("6.1.11-arch1-1", "#1 a4e1ab56", ("arch", None, None, "6.1.11")),
        ("6.6.34-1-lts", "#1 SMP PREEMPT_DYNAMIC Sun, 16 Jun 2024", ("arch", None, None, "6.6.34")),
        ("5.10.26-1-MANJARO", "#1", ("manjaro", None, None, "5.10.26")),
        ("6.1.145-android14-11-gedaaac4d5c85", None, ("android", "android14", None, "6.1.145")),
        # smaller distributions, images, and vendors whose numbers say less
        ("6.12.53-0-lts", "#1-Alpine", ("alpine", None, None, "6.12.53")),
        ("6.6.49-1-lts", "#2-Alpine SMP PREEMPT_DYNAMIC", ("alpine", None, None, "6.6.49")),
        ("6.6.49-0-virt", None, ("alpine", None, None, "6.6.49")),
        ("4.12.5-gentoo", "#1", ("gentoo", None, None, "4.12.5")),
        ("6.18.1-gentoo-dist", "#1 SMP PREEMPT_DYNAMIC", ("gentoo", None, None, "6.18.1")),
        ("6.18.33", "#1-NixOS PREEMPT(lazy)", ("nixos", None, None, "6.18.33")),
        ("6.1.4_1", None, ("void", None, None, "6.1.4")),
        ("6.6.95-flatcar", "#1", ("flatcar", None, None, "6.6.95")),
        ("4.1.4-coreos-r1", "#2", ("flatcar", None, None, "4.1.4")),
        ("5.10.69-talos", "#1", ("talos", None, None, "5.10.69")),
        ("5.10.16-1.fc25.qubes.x86_64", "#1", ("qubes", None, None, "5.10.16")),
        ("6.19.10-1.qubes.1001.fc41.x86_64", "#1 PREEMPT(full)", ("qubes", None, None, "6.19.10")),
        ("6.18.33.2-microsoft-standard-WSL2", "#1 SMP", ("wsl2", None, None, "6.18.33")),
        ("4.19.104-microsoft-standard", None, ("wsl2", None, None, "4.19.104")),
        ("6.2.16-3-pve", "#1", ("proxmox", None, None, None)),
        ("5.13.0-7614-generic", None, ("popos", None, None, None)),
        ("7.0.11-76070011-generic", None, ("popos", None, None, None)),
        ("6.9.3-76060903-generic", "#202405300957~1738770968~22.04~d5f7c84", ("popos", None, None, None)),
        ("5.15.32-v7+", "#1538", ("rpi", None, None, "5.15.32")),
        ("6.12.20+rpt-rpi-2712", "#1 SMP PREEMPT Debian 1:6.12.20-1+rpt1", ("rpi", None, None, "6.12.20")),
        ("6.1.159-6.ph5", None, ("photon", None, None, None)),
        ("5.15.202.1-1.cm2", None, ("azurelinux", None, None, None)),
        ("6.4.0-10.1.0.20.oe2309.riscv64", "#1", ("openeuler", None, None, None)),
        ("5.10.134-16.1.al8.x86_64", None, ("alinux", None, None, None)),
        # upstream
        ("6.10.0-rc4", None, ("linux", None, None, "6.10-rc4")),
        ("5.11.6", "#15", ("linux", None, None, "5.11.6")),
        ("5.0.0+", "#136", ("linux", None, None, "5.0")),
        ("4.9.72-gcb7518e", "#10", ("linux", None, None, "4.9.72")),
        ("6.17.0-rc4-00231-gc8ed9b5c02a5", "#28", ("linux", None, None, "6.17-rc4")),
        ("6.16.0-rc4-syzkaller-g7482bb149b9f", "#0", ("linux", None, None, "6.16-rc4")),
        ("6.12.0-syzkaller-03657-g43fb83c17ba2", "#0", ("linux", None, None, "6.12")),
        ("6.15.0-next-20250530-syzkaller", "#0", ("linux", None, None, "6.15")),
        ("6.2.0-rc6-next-20230131-syzkaller-09515-g80bd9028feca", "#0", ("linux", None, None, "6.2-rc6")),
        ("5.1.0-rc3-319004-g43151d6", "#6", ("linux", None, None, "5.1-rc3")),
        ("6.2.0-rc3-kts+", "#1", ("linux", None, None, "6.2-rc3")),
        ("5.12.12-051212-generic", "#202106180931", ("linux", None, None, "5.12.12")),
        ("6.16.0-061600rc5-generic", "#202507062141", ("linux", None, None, "6.16-rc5")),
        # own builds: the number is the Makefile's, the words are the builder's
        ("6.1.118-pserver", None, ("linux-custom", None, None, "6.1.118")),
        ("6.11.1-edge-rockchip-rk3588", "#1", ("linux-custom", None, None, "6.11.1")),
        ("6.0.0-mm-pcpnoirq-v1r2", "#1", ("linux-custom", None, None, "6.0")),
        ("5.11.0-1-surface-dev", "#2", ("linux-custom", None, None, None)),
    ],
)
def test_kernels_are_recognised(
    release: str, version: str | None, expected: tuple[str | None, str | None, str | None, str | None]
) -> None:
    kernel = identify(release, version)
    assert (kernel.product, kernel.stream, kernel.package_version, kernel.upstream_base) == expected


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("4.14.35-acme7", None),
        ("4.14.35-acme7.x86_64", "#1 SMP"),
        ("4.14.35-1902.5.2.acme.x86_64", None),
        ("6.18.6-1.gdc.el9.x86_64", "#1"),
        ("6.1.119-1.el9.elrepo.x86_64", "#1"),
        ("4.18.0-477.10.1.el8_lustre.x86_64", "#1"),
        ("3.3.0-0.15.el7.x86_64", "#1"),
        ("5.15.0-1034-intel-iotg", "#39"),
        ("6.1.72-oe1", None),
        ("6.12.5-200.bazzite.fc41.x86_64", "#1"),
        ("4.19.0-6-amd64", "#1 SMP Uos 4.19.67-11eagle (2020-03-21)"),
        ("4.19.36-vhulk1907.1.0.h453.eulerosv2r8.aarch64", "#1"),
        ("5.15.0-7.86.6.1.el9uek.x86_64-TEST+", "#7"),
        ("95.16.3-srb-asrock-00001-g36437ad63879", "#186"),
        ("3.2.0-0.0.0.28.36b5ec9-default", "#1"),
        ("", None),
        (None, None),
        (None, "#1 SMP"),
    ],
)
def test_unknown_vendors_get_no_product(release: str | None, version: str | None) -> None:
    kernel = identify(release, version)
    assert kernel.product is None
    assert kernel.stream is None
    assert kernel.upstream_base is None


@pytest.mark.parametrize(
    ("release", "builder", "product"),
    [
        ("4.18.0-477.13.1.el8_8.x86_64", "mockbuild@x86-vm-08.build.eng.bos.redhat.com", "rhel8"),
        ("3.10.0-957.10.1.el7.x86_64", "mockbuild@kbuilder.bsys.centos.org", "centos7"),
        ("4.18.0-147.8.1.el8_1.x86_64", "mockbuild@kbuilder.bsys.centos.org", "centos8"),
        ("5.14.0-570.46.1.el9_6.x86_64", "mockbuild@x64-builder03.almalinux.org", "almalinux9"),
        ("6.12.0-124.49.1.el10_1.x86_64", "mockbuild@x64-builder03.almalinux.org", "almalinux10"),
        ("4.18.0-513.24.1.el8_9.x86_64", "mockbuild@iad1-prod-build001.bld.equ.rockylinux.org", "rocky8"),
        ("4.18.0-372.19.1.el8_6.x86_64", "mockbuild@ca-build56.us.oracle.com", "ol8"),
        ("4.14.35-1902.305.4.el7uek.x86_64", "mockbuild@jenkins-10-147-72-125", "uek5"),
    ],
)
def test_the_builder_tells_rebuilds_apart(release: str, builder: str, product: str) -> None:
    banner = f"Linux version {release} ({builder}) (gcc (GCC) 11.3.1) #1 SMP Tue May 9 17:09:15 UTC 2023"
    kernel = identify(release, "#1 SMP Tue May 9 17:09:15 UTC 2023", banner)
    assert kernel.product == product
    assert kernel.stream is not None


def test_a_debian_banner_alone_tells_debian_without_its_package() -> None:
    kernel = identify("6.1.0-42-amd64", "#1 SMP", "Linux version 6.1.0-42-amd64 (debian-kernel@lists.debian.org)")
    assert (kernel.product, kernel.package_version, kernel.upstream_base) == ("debian", None, None)


def test_what_is_known_already_stays() -> None:
    kernel = Kernel(release="4.14.35-1902.5.2.el7uek.x86_64", product="uek5", stream="1844", upstream_base="4.14.35")
    assert PRODUCTS.identify(kernel) == kernel
    strange = Kernel(release="4.14.35-1902.5.2.el7uek.x86_64", product="no-such")
    assert PRODUCTS.identify(strange) == strange


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_taken(release: str, version: str, banner: str) -> None:
    kernel = identify(release, version, banner)
    assert kernel.product is None or kernel.product in PRODUCTS
    assert PRODUCTS.identify(kernel) == kernel


@pytest.mark.parametrize("piece", ["1.", "0", "4.14.35-", "-", "a", "#1 Debian ", "(Ubuntu 1.1.1-", ".el8", "~1"])
def test_hostile_length_costs_no_time(piece: str) -> None:
    text = piece * 100_000
    identify("4.18.0-x", "#1 x", "Linux version x")  # compiles the patterns
    start = time.perf_counter()
    identify("4.18.0-" + text, "#1 " + text, "Linux version " + text)
    assert time.perf_counter() - start < 1.0


def product(product_id: str) -> Product:
    found = PRODUCTS.get(product_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("product_id", "version", "release", "command"),
    [
        (
            "uek5",
            "4.14.35-1902.7.0",
            "4.14.35-1902.5.2.el7uek.x86_64",
            "sudo yum install kernel-uek-4.14.35-1902.7.0.el7uek",
        ),
        ("uek5", "4.14.35-1902.7.0", None, "sudo yum install kernel-uek-4.14.35-1902.7.0.el7uek"),
        (
            "uek6",
            "5.4.17-2136.310.7",
            "5.4.17-2036.103.3.el7uek.x86_64",
            "sudo yum install kernel-uek-5.4.17-2136.310.7.el7uek",
        ),
        ("uek6", "5.4.17-2136.310.7", None, "sudo yum update kernel-uek"),
        ("uek7", "5.15.0-208.159.3", "5.15.0-100.96.32.evil", "sudo dnf upgrade kernel-uek"),
        (
            "rhel8",
            "4.18.0-553.5.1.el8_10",
            "4.18.0-477.el8.x86_64",
            "sudo dnf install kernel-4.18.0-553.5.1.el8_10",
        ),
        ("sle", "5.14.21-150500.55.49.1", None, "sudo zypper install 'kernel-default>=5.14.21-150500.55.49.1'"),
        ("debian", "6.1.195-1", None, "sudo apt full-upgrade"),
        ("rhel8", "1; rm -rf /", None, "sudo dnf upgrade kernel"),
        ("uek5", None, None, "sudo yum update kernel-uek"),
        ("linux", "6.1.50", None, None),
    ],
)
def test_upgrade_commands(product_id: str, version: str | None, release: str | None, command: str | None) -> None:
    kernel = Kernel(release=release)
    assert product(product_id).upgrade_command(version, kernel) == command


def test_an_upstream_number_is_no_package_version() -> None:
    assert product("fedora").upgrade_command("6.13.9", by_upstream=True) == "sudo dnf upgrade kernel"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_of_the_input_reaches_a_command(text: str) -> None:
    for entry in PRODUCTS:
        clean = entry.upgrade_command("4.14.35-1902.7.0", Kernel())
        for kernel in (Kernel(release=text), Kernel(release="4.14.35-1." + text, stream=text, package_version=text)):
            command = entry.upgrade_command("4.14.35-1902.7.0", kernel)
            dists = [f"kernel-uek-4.14.35-1902.7.0.{d}" for d in entry.dists]
            assert command == clean or shlex.split(command or "")[-1] in dists


def test_members_of_a_family_share_versions_but_not_live_patches() -> None:
    assert PRODUCTS.related("rocky8")[:2] == ("rocky8", "rhel8")
    assert "almalinux8" in PRODUCTS.related("rhel8")
    assert PRODUCTS.related("uek5") == ("uek5",)
    assert product("rocky8").livepatch is None
    assert product("rhel8").livepatch is not None


WITHOUT_CHANGELOG = frozenset(
    [
        "linux",
        "android",
        "arch",
        "manjaro",
        "linux-custom",
        "alpine",
        "gentoo",
        "nixos",
        "void",
        "flatcar",
        "talos",
        "qubes",
        "wsl2",
        "proxmox",
        "popos",
        "rpi",
        "photon",
        "azurelinux",
        "openeuler",
    ]
)
"""Vendors that have no command for what changed, or none that a source names."""


def test_every_product_of_a_distribution_says_that_a_reboot_is_needed() -> None:
    for entry in PRODUCTS:
        assert entry.reboot or entry.id in ("linux", "android")
        assert entry.changelog_command() or entry.id in WITHOUT_CHANGELOG


def test_a_table_is_an_ordered_collection() -> None:
    table = Products([Product("a", "A", "A", "rpm"), Product("b", "B", "B", "dpkg")])
    assert [p.id for p in table] == ["a", "b"]
    assert len(table) == 2
    assert "a" in table
    assert table.get("c") is None
    assert table.get(None) is None
