"""``python -m vos`` is the command ``vos``: for ``torchrun -m vos train``, or without a PATH."""

from vos.cli.app import main

if __name__ == "__main__":
    main()
