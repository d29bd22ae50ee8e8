"""A denoising autoencoder, as an example of a third-party plugin."""
