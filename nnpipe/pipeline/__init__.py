"""From a spec to a graph of stages, a plan, and its execution. Planning loads neither torch nor Prefect."""
