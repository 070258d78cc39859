"""Types of the crashed kernel: BTF, DWARF and layout tables, all as one model."""
