"""Upload published weights to the Hugging Face Hub."""

from __future__ import annotations

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools.publish import Published


def read_target(target: str) -> tuple[str, str | None]:
    """Split ``hf://owner/repo`` or ``hf://owner/repo/file`` into (owner/repo, file).

    Raises:
        BadSetting: if ``target`` has another form.
    """
    parts = target.removeprefix("hf://").split("/")
    if not target.startswith("hf://") or len(parts) < 2 or not all(parts) or "@" in target:
        raise BadSetting(f"'{target}' is not a Hugging Face repository.", "Write --to hf://owner/repo")
    return "/".join(parts[:2]), "/".join(parts[2:]) or None


def upload(published: Published, target: str) -> str:
    """Upload the weights, the model card and the preview in one commit; returns the location with the commit hash.

    Raises:
        BadFile: if the Hub refuses the upload, with the reason.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    repository, file = read_target(target)
    file = file or published.weights.name
    others = [(published.card, "README.md")]
    others += [(published.preview, published.preview.name)] if published.preview else []
    hub = HfApi()
    try:
        hub.create_repo(repository, exist_ok=True)
        operations = [CommitOperationAdd(file, published.weights)]
        operations += [CommitOperationAdd(name, path) for path, name in others]
        done = hub.create_commit(repository, operations, commit_message=f"Publish {file}")
    except Exception as error:  # exceptions of the Hub client, of its HTTP library (which has changed), and OSError
        raise BadFile(
            f"the upload to {target} failed: {' '.join(str(error).split())}",
            f"Log in with `hf auth login`, or set HF_TOKEN; then remove {published.weights} and publish again.",
        ) from error
    return f"hf://{repository}/{file}@{done.oid}"
