"""Takes over what a farm of piwheels.org's own software knows; here what exists upstream.

Its database is read and never written.  Nothing in it is believed that this farm would not take from anybody
else, and what is not taken is written down with the reason.
"""
