"""A working day's traffic of a small software company, and a replayer that sends it through a proxy."""
