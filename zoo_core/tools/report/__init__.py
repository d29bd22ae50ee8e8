"""One HTML file on one run or several. Imports no torch."""
