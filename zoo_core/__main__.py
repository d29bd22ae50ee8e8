"""``python -m zoo_core`` is ``zoo``."""

from __future__ import annotations

from typing import NoReturn

from zoo_core.engine.shutdown import end_on_signals


def main() -> NoReturn:
    """Entry point of the command ``zoo``: signals are handled before anything else is imported."""
    end_on_signals()
    from zoo_core.cli import main as run

    run()


if __name__ == "__main__":
    main()
