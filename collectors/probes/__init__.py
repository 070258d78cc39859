"""Reads a driver's state out of memory: typed C expressions, roots, records, all bounded."""
