"""What a dump file is on the outside: ELF, kdump-compressed."""
