"""The Prefect engine: the only package that imports Prefect. Nothing in it phones home unless the user says so."""

from __future__ import annotations

import os

# Prefect reads these when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
