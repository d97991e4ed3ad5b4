"""From what the user named to units of work: input files, one schema, units, all frozen before the first row runs."""
