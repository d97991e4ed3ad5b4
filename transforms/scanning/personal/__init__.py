"""What personal data is called: names of values in the languages of twelve countries, and names of tables' columns."""
