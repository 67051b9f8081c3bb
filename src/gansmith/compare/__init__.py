"""Runs compared over seeds, with confidence intervals."""
