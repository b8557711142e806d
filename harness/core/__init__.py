"""Pure logic: no socket, clock, file, thread or database. Times come in as integer nanoseconds."""
