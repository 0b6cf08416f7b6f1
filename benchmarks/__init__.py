"""Benchmarks: every figure is a ratio from interleaved runs in one process."""
