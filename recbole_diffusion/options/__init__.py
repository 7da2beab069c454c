"""Options: declared once with meaning and range, checked before any data loads."""
