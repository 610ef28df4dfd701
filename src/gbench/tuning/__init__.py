"""Hyper-parameter search on validation rows; test rows are taken out of the data before anything is learned."""
