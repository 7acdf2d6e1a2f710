"""Tool authors' door: /api/v1 with its OpenAPI, by subject; schemas stand beside their routes."""
