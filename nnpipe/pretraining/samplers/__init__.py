"""Where a Boltzmann machine's own states come from while it learns, one file each; ``sampler`` says what all offer."""
