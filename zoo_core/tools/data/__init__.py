"""``zoo data``: check, describe and show data. Only ``cli`` may import it."""
