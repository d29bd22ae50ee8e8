"""GAN, CGAN, LSGAN and C-LSGAN on 28 x 28 images."""
