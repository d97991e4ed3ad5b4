"""How rows are found, chosen and laid out for people, in a terminal or on a page."""
