"""Bundles: all that a Pi without a network needs of some packages, in one zip.

`resolve` finds out what that is (no Django), `shelf` what there is to choose from, `archive` writes the zip
(no Django), `papers` what is in it beside the wheels (no Django), and `work` does all of it for a row.
"""
