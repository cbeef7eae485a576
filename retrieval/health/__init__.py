"""What is wrong with a database and what mends it: one module a family of checks. It reads and never writes."""
