"""Conventions, weights and studies of other frameworks, in and out."""
