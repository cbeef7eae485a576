"""How good answers are on given questions, and test questions from one's own documents. Importing does no work."""
