"""``python -m mien`` is the command ``mien``; ``torchrun -m mien`` needs this form."""

from mien.app.cli import main

if __name__ == "__main__":
    main()
