"""What ``zoo fit`` plans and trains for a folder of data. Only ``cli`` may import it."""
