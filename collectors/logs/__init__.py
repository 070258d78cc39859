"""Kernel log text: lines, heads, registers, traces, events."""
