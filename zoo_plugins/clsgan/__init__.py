"""Generative adversarial networks on digits: C-LSGAN and its family (GAN, CGAN, LSGAN)."""
