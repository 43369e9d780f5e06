"""Where the garments are in a photo, all categories by one detector, and which of them a guide means."""
