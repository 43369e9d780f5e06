"""What programs see: REST."""
