"""One command, one small file. Heavy imports happen inside the commands."""
