"""From committed units to a dataset: shards, merges, summary, card and report, `COMPLETED`."""
