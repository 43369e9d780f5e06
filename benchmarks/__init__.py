"""Is it fast? Ratios against peers in one run; imported by nothing."""
