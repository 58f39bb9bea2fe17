"""Sweeps: every combination of a spec's ``matrix`` as a run, and a table of what came out."""
