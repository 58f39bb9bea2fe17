"""Data: sources, the files they are read from, and how examples are divided."""
