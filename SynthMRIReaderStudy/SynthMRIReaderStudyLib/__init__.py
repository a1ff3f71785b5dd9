"""Parts of the reader study module: the case on the screen, the questions about it, and the study around them."""
