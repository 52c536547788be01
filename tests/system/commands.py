"""How does a test run the commands as people do: as processes?"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def command(*words: object) -> list[str]:
    """The words of a command of this installation."""
    return [str(Path(sys.executable).with_name("queuelight")), *(str(word) for word in words)]


def told(*words: object) -> subprocess.CompletedProcess[str]:
    """What a command that succeeds prints."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return done


def readiness(port: int) -> tuple[int, dict[str, Any]]:
    """What a worker answers to /readyz; (0, {}) while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}
