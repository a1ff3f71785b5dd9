"""The same task over many scans: found, run on one machine or a cluster, recorded so that any stop can be resumed."""
