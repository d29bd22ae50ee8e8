"""``zoo demo``: a local web page to try models. Only ``page`` imports Gradio."""
