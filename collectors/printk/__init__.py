"""The kernel log as it lies in memory."""
