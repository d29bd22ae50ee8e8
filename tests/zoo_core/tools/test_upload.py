"""Publishing to the Hugging Face Hub, with a small local server in its place."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tiny
import yaml

from zoo_core.errors import BadSetting
from zoo_core.tools.upload import read_target

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Accepts a repository and one commit, and stores the uploaded files."""

    def __init__(self, accepts=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.accepts = accepts
        self.requests, self.files, self.tokens = [], {}, set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        hub, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        hub.requests.append(self.path)
        hub.tokens.add(self.headers["Authorization"])
        if not hub.accepts:
            self.answer({"error": "not yours"}, 403)
        elif self.path == "/api/repos/create":
            self.answer({"url": f"{hub.url}/ours/lines"})
        elif self.path == "/api/models/ours/lines/preupload/main":
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self.answer({"files": files})
        elif self.path == "/api/models/ours/lines/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer({"commitUrl": f"{hub.url}/ours/lines/commit/{COMMIT}", "commitOid": COMMIT})
        else:  # for example the validation of the card's YAML header
            self.answer({"errors": [], "warnings": []})

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub():
    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()


@pytest.fixture
def publishes(tiny_installed, tmp_path):
    """A function that runs `zoo weights publish` in the folder ``here`` with the Hub at a URL."""
    tiny.train(tmp_path / "run", "run.steps=10")
    (tmp_path / "here").mkdir()

    def publishes(url, *words, **environment):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
        given = {"HF_ENDPOINT": url, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "hub-home"), **environment}
        command = [sys.executable, "-m", "zoo_core", "weights", "publish", tmp_path / "run", "--license", "MIT", *words]
        return subprocess.run(
            command, cwd=tmp_path / "here", env={**kept, **given}, capture_output=True, text=True, timeout=120
        )

    return publishes


def test_weights_card_and_preview_are_uploaded_unchanged_in_one_commit(hub, publishes, tmp_path):
    done = publishes(hub.url, "--to", "hf://ours/lines", "--name", "my-line")
    assert done.returncode == 0, done.stderr
    here = tmp_path / "here"
    assert hub.files == {
        "my-line.safetensors": (here / "my-line.safetensors").read_bytes(),
        "README.md": (here / "my-line.md").read_bytes(),
        "my-line.png": (here / "my-line.png").read_bytes(),
    }
    assert hub.tokens == {"Bearer hf_secret"}
    assert [path for path in hub.requests if path.endswith(("create", "commit/main"))] == [
        "/api/repos/create",
        "/api/models/ours/lines/commit/main",
    ]
    entry = yaml.safe_load(done.stdout)["weights"]["my-line"]
    assert entry["location"] == f"hf://ours/lines/my-line.safetensors@{COMMIT}"
    assert entry["size"] == (here / "my-line.safetensors").stat().st_size
    assert "hf_secret" not in done.stdout + done.stderr


def test_an_upload_that_the_hub_refuses_is_reported_with_reason_and_hint(hub, publishes):
    hub.accepts = False
    done = publishes(hub.url, "--to", "hf://ours/lines/short.safetensors")
    assert (done.returncode, done.stdout) == (2, "")
    message, hint = done.stderr.splitlines()[-2:]
    assert message.startswith("error: the upload to hf://ours/lines/short.safetensors failed: ")
    assert "403" in message
    assert "hf auth login" in hint
    assert hub.files == {}


def test_an_unreachable_hub_is_reported(publishes):
    done = publishes("http://127.0.0.1:9", "--to", "hf://ours/lines")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: the upload to hf://ours/lines failed: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_target_is_split_into_repository_and_file():
    assert read_target("hf://ours/lines") == ("ours/lines", None)
    assert read_target("hf://ours/lines/fine/a.safetensors") == ("ours/lines", "fine/a.safetensors")


@pytest.mark.parametrize(
    "target", ["ours/lines", "hf://ours", "hf://ours/", "hf://", "https://a.b/c", "hf://ours/lines@main", "hf://a//b"]
)
def test_a_target_of_another_form_is_refused(target):
    with pytest.raises(BadSetting, match="is not a Hugging Face repository") as refused:
        read_target(target)
    assert refused.value.hint == "Write --to hf://owner/repo"
