"""``zoo demo``: a local page that runs models. Only ``page`` and ``server`` import Gradio; only ``cli`` may import this
package."""
