"""Double inversion recovery without a trained network: arithmetic of contrasts, and a dictionary fit of tissue."""
