"""Does docs/collector.md say what is in force?"""

import re
import subprocess
from pathlib import Path

from agents.collector.server import BODY_S
from agents.settings import load
from agents.signing import signature
from streams.page_keys import LONGEST_SEGMENT, MOST_SEGMENTS, page_key
from tests.collector.running import BACKEND

PAGE = (Path(__file__).resolve().parents[2] / "docs/collector.md").read_text(encoding="utf-8")
BODY = b'{"specversion":"1.0"}'


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_example_in_python_signs_as_we_check() -> None:
    names: dict[str, object] = {}
    exec(block("python"), names)
    made = names["signature"]
    assert callable(made)
    assert made(BACKEND.encode(), 1_790_000_000, BODY) == signature(BACKEND.encode(), 1_790_000_000, BODY)


def test_the_example_for_a_shell_signs_as_we_check() -> None:
    (line,) = (line for line in block("sh").splitlines() if line.startswith("v1="))
    script = (
        f"secret='{BACKEND}' body='{BODY.decode()}' t=1790000000\n{line}\nprintf 't=%s,v1=%s' \"$t\" \"$v1\""
    )
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert told == signature(BACKEND.encode(), 1_790_000_000, BODY)


def test_the_example_of_settings_is_in_force(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("k1 0123456789abcdef0123456789abcdef")
    text = re.sub(r'(_file = )"[^"]*"', rf'\1"{secret}"', block("toml"))
    config = tmp_path / "queuelight.toml"
    config.write_text(text)
    own = load(config).collector
    assert page_key("https://www.example.com/docs/a/b", own.sites[0].rules()) == "/docs"
    assert page_key("/product/red", own.sites[0].rules()) == "/product/{name}"


def test_the_table_of_pages_says_what_becomes_of_urls() -> None:
    rows = re.findall(r"^\| (`/.*?) \| `(\{\w+\})` \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    for urls, kind in rows:
        for url in re.findall(r"`(/[^`]*)`", urls):
            assert page_key(url).rpartition("/")[2] == kind, url


def test_the_numbers_are_those_in_force() -> None:
    own = load().collector
    assert f"`max_batch_bytes` ({own.max_batch_bytes // 1024} kB)" in PAGE
    assert f"`requests_per_minute` ({own.requests_per_minute})" in PAGE
    assert f"`oldest_h` ({own.oldest_h:g} h)" in PAGE
    assert f"`spool_mb`\n({own.spool_mb:g})" in PAGE
    assert f"within {BODY_S:g} s" in PAGE
    assert f"more than {LONGEST_SEGMENT} characters" in PAGE
    assert f"beyond {MOST_SEGMENTS} segments" in PAGE
