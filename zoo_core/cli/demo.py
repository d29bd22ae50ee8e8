"""``zoo demo``"""

from __future__ import annotations

from pathlib import Path

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import WeightsName
from zoo_core.training.signals import exits_on_interrupt


@click.command("demo")
@click.argument("sources", metavar="NAME|FILE|RUN_DIR...", type=WeightsName(), nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines reach it.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Where it listens.")
@click.option("--device", default="cpu", show_default=True, help="Where the models compute; auto is the accelerator.")
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="A further registry.yaml.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@common_options
def command(
    sources: tuple[str, ...], host: str, port: int, device: str, registry: tuple[Path, ...], no_browser: bool
) -> None:
    """Try models on a page in the browser: a tab for each of the published weights, files or runs named.

    \b
    zoo demo clsgan-mnist unet-digit-scenes

    The page is served by this machine and, unless --host says otherwise, to this machine only. Ctrl-C ends it.
    """
    from zoo_core.tools.demo.requirements import check_free, check_packages

    check_packages()
    check_free(host, port)
    here = open_catalog(registry)
    with exits_on_interrupt():
        from zoo_core.tools.demo.server import Server
        from zoo_core.tools.demo.source import read_source

        server = Server([read_source(source, here, device) for source in dict.fromkeys(sources)], host, port)
    click.echo(f"{server.address} shows {', '.join(dict.fromkeys(sources))}; Ctrl-C ends it.")
    if not no_browser:
        import webbrowser

        webbrowser.open(server.address)
    server.wait()
