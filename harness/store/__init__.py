"""The SQLite file: its tables and migrations, appending to it, and reading it without writing."""
