"""Noise of acquired volumes: how much there is, and how it is taken away."""

#: A denoising network sees the noise level [network units] times this, so that usual levels lie between 0 and 1.
LEVEL_UNIT = 10.0
