"""A made-up farm of piwheels.org's own software: its database, its folder, and its pages."""
