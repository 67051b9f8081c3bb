"""Networks: plain modules, built from shapes and widths."""
