"""Shared parts of benchmarks: data, networks, and the harness that times and writes results."""
