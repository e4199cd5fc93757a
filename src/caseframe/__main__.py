"""`python -m caseframe`."""

from caseframe.cli.main import main

if __name__ == "__main__":
    main()
