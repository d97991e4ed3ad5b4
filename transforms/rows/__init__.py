"""What a row is while it is worked on: cells, columns, rejected records, output tables, n-grams."""
