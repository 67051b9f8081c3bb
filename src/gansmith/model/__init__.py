"""A trained generator: drawn from, saved, loaded, asked."""
