"""Takes over builds of piwheels.org's own software, with their wheels and logs.

A build keeps its number, as that is in the address of its log.  A file is taken if its bytes are those that
the database there tells of, and a wheel is in them; then it keeps its name, and with that its address.
"""
