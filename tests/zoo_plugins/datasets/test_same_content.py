"""Files of the same content."""

from zoo_plugins.datasets.same_content import same_content


def test_files_are_together_if_and_only_if_their_contents_are_the_same(tmp_path):
    long = bytes(range(256)) * 1000  # longer than the beginning that is compared first
    contents = [b"a", b"b", b"a", b"", long, long[:-1] + b"x", b"b", b"ab", long, b"", b"x" + long[1:]]
    files = [tmp_path / str(index) for index in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    assert same_content(files) == [[0, 2], [1, 6], [3, 9], [4, 8], [5], [7], [10]]


def test_no_files_make_no_groups():
    assert same_content([]) == []
