"""The stages: each reads input artifacts, calls what computes, and fills one output."""
