"""Oopses of several architectures and kernel ages, written in the layout of their show_regs() and die()."""

X86_OLD = """\
BUG: unable to handle kernel paging request at ffffc90000a51008
IP: [<ffffffffa0123abc>] lab_read+0x4c/0x90 [lab_core]
PGD 1bfc0f067 PUD 1bfc10067 PMD 1bb5f6067 PTE 0
Oops: 0002 [#1] SMP
last sysfs file: /sys/devices/system/cpu/cpu7/cache/index2/shared_cpu_map
CPU 3
Modules linked in: lab_core(U) autofs4 [last unloaded: scsi_wait_scan]

Pid: 2711, comm: lab reader Not tainted 2.6.32-431.el6.x86_64 #1 VMware, Inc. VMware Virtual Platform/440BX Desktop
RIP: 0010:[<ffffffffa0123abc>]  [<ffffffffa0123abc>] lab_read+0x4c/0x90 [lab_core]
RSP: 0018:ffff8801b8d5be58  EFLAGS: 00010246
RAX: ffffc90000a51000 RBX: ffff8801b9b5d000 RCX: 0000000000000000
RDX: 0000000000000001 RSI: 0000000000000286 RDI: ffffc90000a51000
RBP: ffff8801b8d5be78 R08: 0000000000000000 R09: 0000000000000000
R10: 0000000000000000 R11: 0000000000000246 R12: 0000000000000000
R13: 0000000000000000 R14: 0000000000000000 R15: 0000000000000000
FS:  00007f6cc5a0b700(0000) GS:ffff880028380000(0000) knlGS:0000000000000000
CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
CR2: ffffc90000a51008 CR3: 00000001b9a3d000 CR4: 00000000000006e0
Process lab reader (pid: 2711, threadinfo ffff8801b8d5a000, task ffff8801b9a2a040)
Stack:
 ffff8801b8d5be98 ffffffff81189a95 ffff8801b8d5be98 ffff8801b9b5d000
<d> ffff8801b8d5bef8 ffffffff8118a4d1 0000000000000000 0000000000000000
Call Trace:
 [<ffffffff81189a95>] vfs_read+0xb5/0x1a0
 [<ffffffff8118a4d1>] sys_read+0x51/0x90
 [<ffffffff8100b072>] system_call_fastpath+0x16/0x1b
Code: 48 8b 47 08 48 89 c7 ba 01 00 00 00 <89> 50 08 c9 c3 0f 1f 44 00 00
RIP  [<ffffffffa0123abc>] lab_read+0x4c/0x90 [lab_core]
 RSP <ffff8801b8d5be58>
CR2: ffffc90000a51008
---[ end trace 93d72a36b9146f22 ]---
Kernel panic - not syncing: Fatal exception
"""

I386 = """\
BUG: unable to handle kernel NULL pointer dereference at 00000014
IP: lab_poll+0x12/0x40 [lab_core]
*pde = 00000000
Oops: 0000 [#1] SMP
Modules linked in: lab_core(O)
CPU: 1 PID: 77 Comm: labd Tainted: G           O    4.9.0-11-686 #1 Debian 4.9.189-3
Hardware name: innotek GmbH VirtualBox/VirtualBox, BIOS VirtualBox 12/01/2006
task: f5a2c100 task.stack: f5a30000
EIP: lab_poll+0x12/0x40 [lab_core]
EFLAGS: 00010246 CPU: 1
EAX: 00000000 EBX: f5bd0000 ECX: 00000001 EDX: 00000000
ESI: f5bd0010 EDI: 00000000 EBP: f5a31f00 ESP: f5a31ef4
 DS: 007b ES: 007b FS: 00d8 GS: 00e0 SS: 0068
CR0: 80050033 CR2: 00000014 CR3: 35b03000 CR4: 000006d0
Call Trace:
 ? lab_gone+0x10/0x20 [lab_core]
 do_sys_poll+0x200/0x480
 SyS_poll+0x5b/0x110
 do_fast_syscall_32+0x8a/0x150
 entry_SYSENTER_32+0x4e/0x7c
Code: 55 89 e5 53 89 c3 <8b> 40 14 5b 5d c3
EIP: lab_poll+0x12/0x40 [lab_core] SS:ESP: 0068:f5a31ef4
CR2: 0000000000000014
---[ end trace 0000000000000001 ]---
"""

ARM64 = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008
Mem abort info:
  ESR = 0x0000000096000045
  EC = 0x25: DABT (current EL), IL = 32 bits
  SET = 0, FnV = 0
  EA = 0, S1PTW = 0
Data abort info:
  ISV = 0, ISS = 0x00000045
  CM = 0, WnR = 1
user pgtable: 4k pages, 48-bit VAs, pgdp=0000000101a2b000
[0000000000000008] pgd=0000000000000000, p4d=0000000000000000
Internal error: Oops: 0000000096000045 [#1] SMP
Modules linked in: lab_core(O) xfs
CPU: 2 PID: 901 Comm: lab-writer Tainted: G           O      6.1.0-13-arm64 #1  Debian 6.1.55-1
Hardware name: QEMU KVM Virtual Machine, BIOS 0.0.0 02/06/2015
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : lab_write+0x24/0x60 [lab_core]
lr : lab_ioctl+0x58/0x120 [lab_core]
sp : ffff80000b2cbd00
x29: ffff80000b2cbd00 x28: ffff0000c1a2b3c0 x27: 0000000000000000
x26: 0000000000000000 x25: 0000000000000000 x24: 0000000000000000
x2 : 0000000000000001 x1 : 0000000000000007 x0 : 0000000000000000
Call trace:
 lab_write+0x24/0x60 [lab_core]
 lab_ioctl+0x58/0x120 [lab_core]
 __arm64_sys_ioctl+0xb0/0xf4
 invoke_syscall+0x50/0x120
 el0_svc_common.constprop.0+0x4c/0xf4
 el0t_64_sync+0x18c/0x190
Code: a9bf7bfd 910003fd d2800020 aa0003e1 (b9000801)
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Oops: Fatal exception
SMP: stopping secondary CPUs
Kernel Offset: 0x2c5a10000000 from 0xffff800008000000
"""

ARM = """\
Unable to handle kernel paging request at virtual address 6b6b6b73
pgd = c5a70000
[6b6b6b73] *pgd=00000000
Internal error: Oops: 817 [#1] SMP ARM
Modules linked in: lab_core
CPU: 0 PID: 311 Comm: lab Not tainted 4.4.50-v7+ #970
Hardware name: BCM2709
task: b9b8c400 ti: b9b90000 task.ti: b9b90000
PC is at lab_write+0x1c/0x40 [lab_core]
LR is at vfs_write+0xac/0x1a8
pc : [<7f0a401c>]    lr : [<8015b1a8>]    psr: 60000013
sp : b9b91f10  ip : b9b91f28  fp : b9b91f24
r10: 00000000  r9 : b9b90000  r8 : 8000fd08
r7 : 00000004  r6 : 00000000  r5 : 00000001  r4 : 6b6b6b6b
r3 : 00000000  r2 : 00000001  r1 : 0001f008  r0 : b9a2c540
Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment user
Control: 10c5383d  Table: 39b7806a  DAC: 00000055
Process lab (pid: 311, stack limit = 0xb9b90210)
Stack: (0xb9b91f10 to 0xb9b92000)
1f00:                                     00000000 b9a2c540 b9b91f54 b9b91f28
[<7f0a401c>] (lab_write [lab_core]) from [<8015b1a8>] (vfs_write+0xac/0x1a8)
[<8015b1a8>] (vfs_write) from [<8015ba10>] (SyS_write+0x54/0xb0)
[<8015ba10>] (SyS_write) from [<8000fb40>] (ret_fast_syscall+0x0/0x1c)
Code: e1a05001 e5904000 e3a03000 e5843008 (e5840008)
---[ end trace aabbccddeeff0011 ]---
"""

PPC64LE = """\
BUG: Kernel NULL pointer dereference on read at 0x00000010
Faulting instruction address: 0xc008000001230abc
Oops: Kernel access of bad area, sig: 11 [#1]
LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries
Modules linked in: lab_core(OE) xfs
CPU: 17 PID: 4711 Comm: lab Tainted: G           OE     5.14.0-70.13.1.el9_0.ppc64le #1
NIP:  c008000001230abc LR: c008000001230a9c CTR: c0000000005a1230
REGS: c00000001a2b3870 TRAP: 0300   Tainted: G           OE      (5.14.0-70.13.1.el9_0.ppc64le)
MSR:  800000000280b033 <SF,VEC,VSX,EE,FP,ME,IR,DR,RI,LE>  CR: 24002842  XER: 20040000
CFAR: c008000001230aa0 DAR: 0000000000000010 DSISR: 40000000 IRQMASK: 0
GPR00: c008000001230a9c c00000001a2b3b10 c008000001258000 0000000000000000
GPR04: 0000000000000001 0000000000000002 0000000000000003 0000000000000004
NIP [c008000001230abc] lab_peek+0x3c/0xa0 [lab_core]
LR [c008000001230a9c] lab_peek+0x1c/0xa0 [lab_core]
Call Trace:
[c00000001a2b3b10] [c008000001230a9c] lab_peek+0x1c/0xa0 [lab_core] (unreliable)
[c00000001a2b3b50] [c0000000004a1b2c] vfs_read+0xdc/0x3a0
[c00000001a2b3bf0] [c0000000004a2230] ksys_read+0x80/0x150
[c00000001a2b3c40] [c00000000002e1a4] system_call_exception+0x164/0x310
[c00000001a2b3e10] [c00000000000bfe8] system_call_vectored_common+0xe8/0x278
Instruction dump:
60000000 60000000 7c0802a6 60000000 e8630000 e9230010 7c632378 4e800020
---[ end trace 0000000000000000 ]---

Kernel panic - not syncing: Fatal exception
"""

S390X = """\
Unable to handle kernel pointer dereference in virtual kernel address space
Failing address: 0000000000000000 TEID: 0000000000000483
Fault in home space mode while using kernel ASCE.
AS:0000000001a24007 R3:0000000000000024
Oops: 0004 ilc:2 [#1] SMP
Modules linked in: lab_core(OE) qeth
CPU: 5 PID: 600 Comm: lab Tainted: G           OE     5.14.0-284.11.1.el9_2.s390x #1
Hardware name: IBM 8561 T01 701 (KVM/Linux)
Krnl PSW : 0704c00180000000 000003ff8012345e (lab_peek+0x1e/0x60 [lab_core])
           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3
Krnl GPRS: 0000000000000000 0000000000000001 0000000000000002 0000000000000003
           0000000000000004 0000000000000005 0000000000000006 0000000000000007
           0000000000000008 0000000000000009 000000000000000a 000000000000000b
           000000000000000c 000000000000000d 000003ff80123456 00000380001bbd40
Krnl Code: 000003ff80123452: e3f0ff58ff71\tlay\t%r15,-168(%r15)
          #000003ff80123458: e310b0080004\tlg\t%r1,8(%r11)
          >000003ff8012345e: 58201000\t\tl\t%r2,0(%r1)
Call Trace:
 [<000003ff8012345e>] lab_peek+0x1e/0x60 [lab_core]
([<000003ff80123456>] lab_peek+0x16/0x60 [lab_core])
 [<00000000003a1b2c>] vfs_read+0xac/0x1d0
 [<00000000003a2230>] ksys_read+0x70/0x100
 [<00000000009b1e10>] system_call+0xdc/0x2d8
Last Breaking-Event-Address:
 [<00000000003a1b26>] vfs_read+0xa6/0x1d0
Kernel panic - not syncing: Fatal exception: panic_on_oops
"""

RISCV64 = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000020
Oops [#1]
Modules linked in: lab_core(O)
CPU: 1 PID: 210 Comm: lab Tainted: G           O       6.1.15 #1
Hardware name: riscv-virtio,qemu (DT)
epc : lab_peek+0xe/0x30 [lab_core]
 ra : vfs_read+0x9a/0x22c
epc : ffffffff01a2300e ra : ffffffff8018d1b2 sp : ffffffc8002bbd60
 gp : ffffffff8122d9a0 tp : ffffffd8027a8000 t0 : ffffffc8002bbde8
 t1 : 0000000000000003 t2 : 0000003fb0e2a0c0 s0 : ffffffc8002bbd80
 s1 : ffffffd802a1c300 a0 : 0000000000000000 a1 : 0000003ff0b2f8b8
status: 0000000200000120 badaddr: 0000000000000020 cause: 000000000000000d
[<ffffffff01a2300e>] lab_peek+0xe/0x30 [lab_core]
[<ffffffff8018d1b2>] vfs_read+0x9a/0x22c
[<ffffffff8018d8a4>] ksys_read+0x5e/0xc4
[<ffffffff80003a1c>] ret_from_syscall+0x0/0x2
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Fatal exception
"""
