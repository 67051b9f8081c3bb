"""Judges: one file for each kind of data whose samples can be scored, named as the kind."""
