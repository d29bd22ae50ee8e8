"""``zoo report``: an HTML file on one or several runs. Imports no torch; only ``cli`` may import it."""
