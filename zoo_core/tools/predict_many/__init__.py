"""``zoo predict`` of many files: `images=FOLDER`. Only ``cli`` may import it."""
