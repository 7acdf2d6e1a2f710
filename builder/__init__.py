"""The part that runs on a Pi: takes an order, builds a wheel, reports.  No Django, no database."""
