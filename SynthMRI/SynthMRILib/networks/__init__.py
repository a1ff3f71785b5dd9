"""Network architectures; built by name through `bundles.NETWORKS`."""
