"""Motion artifacts: how bad they are (`severity`), and what physics alone can undo (`autofocus`, `pose_search`)."""
