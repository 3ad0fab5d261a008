"""The parts of `make bench`: each takes a Bench and returns what docs/benchmarks.json keeps."""
