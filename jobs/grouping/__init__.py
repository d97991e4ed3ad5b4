"""What must see a whole corpus before its units can run: repositories brought together, duplicates found."""
