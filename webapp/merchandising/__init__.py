"""What merchandisers see: the admin."""
