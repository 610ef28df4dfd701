"""``python -m gbench``, which is how ``torchrun`` starts it."""

from gbench.cli import main

main()
