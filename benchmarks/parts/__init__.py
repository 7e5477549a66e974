"""What several benchmarks share: data, networks, and the harness that times and writes results."""
