"""What a person sees in a terminal: progress lines, and rows of a dataset side by side with their originals."""
