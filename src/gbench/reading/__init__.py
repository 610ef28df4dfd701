"""Readers: files of the field's formats -> records for :meth:`gbench.crystals.Crystals.build`."""
