"""Training rows by CodeGemma's recipe: imports, dependency graph, order of files, FIM, rows of one length."""
