"""How far to trust each voxel."""
