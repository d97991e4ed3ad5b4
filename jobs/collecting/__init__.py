"""Files of sources collected into a corpus: batches of them, the processes that work on these, the output."""
