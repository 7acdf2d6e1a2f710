"""The files of wheels and logs, from the first byte that arrives to the last one that is removed."""
