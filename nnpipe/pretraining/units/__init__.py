"""The kinds of units of a Boltzmann machine, one file each; what all of them offer is in ``units``."""
