"""Benchmarks of a recipe's training or of a model's inference: throughput, latency and memory on this machine."""
