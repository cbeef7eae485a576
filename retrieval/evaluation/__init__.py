"""How good retrieval is on given questions, with intervals, and whether it got worse. Importing does no work."""
