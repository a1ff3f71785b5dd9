"""How a set of synthetic volumes compares with a set of real ones: fidelity, variety, memorization, use.

The measures and their grouping follow Xing et al., "The Beauty or the Beast: Which Aspect of Synthetic Medical Images
Deserves Our Focus?" (2023), with three-plane feature distances as in Peng et al. (MICCAI 2023).
"""
