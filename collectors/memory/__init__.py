"""Virtual and physical memory of the crashed kernel: VMCOREINFO, page tables."""
