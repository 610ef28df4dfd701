"""Suites of runs: what a file asks for, planned, and run by processes here, by Ray or by Slurm."""

from gbench.sweep.suite import Suite, read_suite

__all__ = ["Suite", "read_suite"]
