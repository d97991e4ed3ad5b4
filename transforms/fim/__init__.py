"""Fill in the middle (FIM): choosing spans to cut out of a file, and laying out prompts and training documents."""
