"""Runs the command line: `python -m api` and the installed `tick` are the same program."""

from api.cli import main

if __name__ == "__main__":
    main()
