"""One unit on its way through a task and the engine, and the lineage of what comes out."""
