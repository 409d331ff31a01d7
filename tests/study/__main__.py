"""``python -m tests.study``: run the worked study on all recordings, and write docs/study.md."""

import tempfile
from pathlib import Path

from tests.study.page import PAGE, run, write

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        write(run(Path(home), {}))
    print(f"{PAGE.name} is written")
