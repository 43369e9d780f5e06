"""Bits, colours, labels and their ranking: the products that look like a garment, filtered exactly."""
