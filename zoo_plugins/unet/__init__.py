"""A U-Net, trained to predict the next frames of a clip or to segment a picture."""
