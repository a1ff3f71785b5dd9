"""Blinded reader studies: set up, order, answers that cannot be altered unnoticed, leak audit, analysis and report."""
