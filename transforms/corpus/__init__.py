"""Where a corpus comes from: folders, git work trees, archives; encodings; licenses."""
