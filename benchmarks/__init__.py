"""Measurements, run by hand: `python -m benchmarks`. Nothing here is timed in a test."""
