"""Kinds of data: one file or folder each, whose name is the kind's."""
