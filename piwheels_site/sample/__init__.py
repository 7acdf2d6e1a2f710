"""A farm that never was, to be looked at: rows and files for every page, all of it drawn from a seed.

The one place that writes the tables of every app.  It does so only where there is nothing yet (`fill`), and a
notice on every page says that it did.
"""
