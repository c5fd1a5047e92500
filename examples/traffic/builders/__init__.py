"""What makes the traffic files out of material/: pure functions, the same seed gives the same lines."""
