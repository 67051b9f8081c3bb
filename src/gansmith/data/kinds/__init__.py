"""One file or folder for each kind of data, whose name is its name."""
