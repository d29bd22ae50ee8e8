"""GAN, CGAN, LSGAN and C-LSGAN on images of any size."""
