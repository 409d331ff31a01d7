"""``python -m deploy.grafana``: write what Grafana reads, or with ``--check`` say what is old."""

import argparse
import sys

from deploy.grafana.files import named, outdated, rendered, write


def main(arguments: list[str] | None = None) -> int:
    """Run the command; give the exit code: 1 if something is old and only to be checked."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a file is old")
    check = parser.parse_args(arguments).check
    files = rendered()
    changed = outdated(files) if check else write(files)
    for name in named(changed):
        sys.stdout.write(f"{'old' if check else 'written'}: {name}\n")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
