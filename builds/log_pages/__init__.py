"""Logs as people read them: by line, folded by phase, as they grow, and two of them compared.

Where they are kept is `builds.files.logs`; what makes them harmless is `builds.log_text`.
"""
