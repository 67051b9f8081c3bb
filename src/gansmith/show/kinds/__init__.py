"""How samples are seen and written: one file for each kind of data, named after it, with a `SHOW`."""
