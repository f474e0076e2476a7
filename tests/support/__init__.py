"""What the tests and the benchmarks share, one subject per module."""
