"""Takes over what piwheels.org's own software counted, and has the whole import done, step by step."""
