"""Several jobs in one file, each reading what earlier ones wrote."""
