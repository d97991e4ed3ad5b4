"""Fill-in-the-middle: which spans to cut out of a file, and how prompts are laid out around the hole."""
