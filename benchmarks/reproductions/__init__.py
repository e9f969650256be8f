"""Claims of the course notes, as numbers."""
