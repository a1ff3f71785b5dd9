"""Training of every task; one file a task."""
