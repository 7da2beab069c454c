"""What finished runs say, side by side: tables, figures, one HTML page."""
