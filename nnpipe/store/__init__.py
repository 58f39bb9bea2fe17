"""Artifacts on disk: immutable, found by the recipe that made them. Knows mappings and files, not specs or networks."""
