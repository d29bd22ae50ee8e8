"""Optimizers and learning rate schedules by name. Imports ``registry`` and the modules below it; ``engine`` and every
package above it may import it."""
