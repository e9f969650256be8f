"""Trainers and formulas that share no code with jaxbn, to check it against."""
