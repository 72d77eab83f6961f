"""nano: the small model that comes with the package."""
