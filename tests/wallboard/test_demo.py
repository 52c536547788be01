"""Does the demo show the same board in a browser, without Redis, and say where?"""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.system.members import until
from tests.system.server_process import free_port
from tests.wallboard.walls import QUEUELIGHT, screen

pytestmark = pytest.mark.system


@contextmanager
def demo(*words: str) -> Iterator[str]:
    """A running demo; where it says its board is."""
    program = [str(QUEUELIGHT), "demo", "--seconds", "60", "--json", *words]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "it ended"
            found = re.fullmatch(r"board: (http://127\.0\.0\.1:\d+)/\n", line)
        yield found[1]
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_demo_serves_its_board_on_the_port_one_gives_it() -> None:
    port = free_port()
    with demo("--board-port", str(port)) as url:
        assert url.endswith(f":{port}")

        def queues() -> int:
            with urllib.request.urlopen(f"{url}/api/v1/board", timeout=10) as answer:
                return sum(tile["offered"] > 0 for tile in json.load(answer)["queues"].values())

        until(lambda: queues() >= 8, "the queues of the demo have numbers")
        with screen(url) as stream:
            first = stream.next()
            delta = stream.named("delta")
            assert delta.data["seq"] == first.data["seq"] + 1
            assert first.data["site"]["truth"]["calls"]["events"] > 0
        until(lambda: _adds_up(url), "the intervals of the day add up to the day", 30)
        with urllib.request.urlopen(url, timeout=10) as page:
            assert page.headers["content-type"].startswith("text/html")
        taken = subprocess.run(
            [str(QUEUELIGHT), "demo", "--board-port", str(port)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert taken.returncode == 2
        assert f"cannot listen on 127.0.0.1:{port}" in taken.stderr


def _adds_up(url: str) -> bool:
    """True when behind every queue are intervals that add up to its day."""
    with urllib.request.urlopen(f"{url}/api/v1/board", timeout=10) as answer:
        queues = [tile["queue"] for tile in json.load(answer)["queues"].values()]
    for queue in queues:
        with urllib.request.urlopen(f"{url}/api/v1/queues/{quote(queue)}", timeout=10) as answer:
            found = json.load(answer)
        offered = [each["offered"] for each in found["intervals"]]
        if not offered or sum(offered) != found["arrival"]["day"]["offered"]:
            return False
    return bool(queues)


def test_without_a_port_the_demo_takes_the_usual_one_or_else_a_free_one() -> None:
    with demo() as url, demo() as other:
        assert url != other
