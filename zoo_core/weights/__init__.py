"""Weights: safetensors files that tell their own story, and the names under which they are published."""
