"""`codemill browse`: a local page to search and filter the rows of a dataset."""
