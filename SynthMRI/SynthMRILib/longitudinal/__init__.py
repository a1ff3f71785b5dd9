"""Two visits of one patient: halfway registration, intensity matching, subtraction, and candidates of change."""
