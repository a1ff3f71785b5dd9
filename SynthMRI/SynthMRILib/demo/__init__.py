"""What `synthmri demo` does: simulate a scan of an average brain, enhance it, and show before, after and difference."""
