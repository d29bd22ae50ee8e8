"""``zoo demo``: a local page on which a model is tried. Only ``page`` and ``serving`` know Gradio."""
