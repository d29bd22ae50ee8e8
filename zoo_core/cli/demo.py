"""``zoo demo``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import WeightsName
from zoo_core.cli.options import registry_option
from zoo_core.terminal import say


@click.command("demo")
@click.argument("sources", metavar="NAME|FILE|RUN_DIR...", type=WeightsName(), nargs=-1, required=True)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 accepts other machines."
)
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port to listen on.")
@click.option("--device", default="cpu", show_default=True, help="Device of the models; auto is an accelerator.")
@registry_option
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@common_options
def command(
    sources: tuple[str, ...], host: str, port: int, device: str, registry: tuple[Path, ...], no_browser: bool
) -> None:
    """Serve models on a page in the browser, with a tab for each of the given weights, files or runs.

    \b
    zoo demo clsgan-mnist unet-digit-scenes

    The page can only be opened on this machine, unless --host is given. Ctrl-C stops the server.
    """
    from zoo_core.tools.demo.requirements import check_free, check_packages

    check_packages()
    check_free(host, port)
    catalog = open_catalog(registry)
    from zoo_core.tools.demo.server import Server
    from zoo_core.tools.demo.source import read_source

    server = Server([read_source(source, catalog, device) for source in dict.fromkeys(sources)], host, port)
    say(f"{server.address} serves {', '.join(dict.fromkeys(sources))}; press Ctrl-C to stop.")
    if not no_browser:
        import webbrowser

        webbrowser.open(server.address)
    server.wait()
