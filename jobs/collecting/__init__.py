"""Files of sources collected into a corpus: chunks of them, the processes that work on these, the output."""
