"""Running a network: precision, device, memory and exact tiling."""
