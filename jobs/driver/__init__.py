"""A job from start to end: plan or resume, lock, run, finalize, exit code; dry run, progress, the choice of runner."""
