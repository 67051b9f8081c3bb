"""A recipe, a source of data and options become a run."""
