"""What a crack patch is (paper, Section V-C), to the classifier of patches and to the score."""

PATCH_PX = 32
CRACKED_SHARE = 0.05  # of its pixels; a patch with fewer is not a crack patch
