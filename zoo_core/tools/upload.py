"""Published weights to the Hugging Face hub."""

from __future__ import annotations

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.publish import Published


def read_target(target: str) -> tuple[str, str | None]:
    """``hf://owner/repo`` or ``hf://owner/repo/file`` as (owner/repo, file).

    Raises:
        BadSetting: if it is neither.
    """
    parts = target.removeprefix("hf://").split("/")
    if not target.startswith("hf://") or len(parts) < 2 or not all(parts) or "@" in target:
        raise BadSetting(f"'{target}' is no place to publish to.", "Write --to hf://owner/repo")
    return "/".join(parts[:2]), "/".join(parts[2:]) or None


def upload(published: Published, target: str) -> str:
    """Put the weights, their card and picture into one commit; gives the location, with the commit's hash.

    Raises:
        BadFile: if the hub does not take them; says why.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    repository, file = read_target(target)
    file = file or published.weights.name
    beside = [(published.card, "README.md")]
    beside += [(published.picture, published.picture.name)] if published.picture else []
    hub = HfApi()
    try:
        hub.create_repo(repository, exist_ok=True)
        operations = [CommitOperationAdd(file, published.weights)]
        operations += [CommitOperationAdd(name, path) for path, name in beside]
        done = hub.create_commit(repository, operations, commit_message=f"Publish {file}")
    except Exception as error:  # its own, those of the HTTP library below it (which changed), and OSError
        raise BadFile(
            f"{target} did not take the weights: {' '.join(str(error).split())}",
            f"Log in with `hf auth login`, or set HF_TOKEN; then remove {published.weights} and publish again.",
        ) from error
    return f"hf://{repository}/{file}@{done.oid}"
