"""Benchmarks: ours beside what a user would use instead, in one run, with the ratio printed."""
