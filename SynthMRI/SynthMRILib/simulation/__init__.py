"""What a scanner does: anatomy, contrast, acquisition, noise, motion and lesions."""
