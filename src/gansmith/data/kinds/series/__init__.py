"""Series: steps in time of several columns, of one length or of many."""
