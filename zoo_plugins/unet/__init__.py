"""A U-Net for next-frame prediction and semantic segmentation."""
