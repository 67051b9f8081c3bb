"""Is it good? Scores beside a floor and a control."""
