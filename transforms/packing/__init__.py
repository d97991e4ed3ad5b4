"""Packed training rows by CodeGemma's recipe: imports, dependency graph, file order, FIM, rows of one length."""
