"""`python -m posthouse`: the same as the command `posthouse`."""

from posthouse.app.cli import main

if __name__ == "__main__":
    main()
