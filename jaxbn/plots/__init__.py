"""Pictures of a search, from its tables: each function draws on axes and returns them; none of them shows a window."""
