"""The Prefect engine: the only package that imports Prefect. Nothing in it phones home unless the user says so."""

from __future__ import annotations

import os

# Prefect reads these when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# A server on this machine is not asked for through a proxy. Where both spellings are set, the lower case counts.
_spelling = "no_proxy" if "no_proxy" in os.environ else "NO_PROXY"
os.environ[_spelling] = ",".join(filter(None, [os.environ.get(_spelling), "127.0.0.1"]))
