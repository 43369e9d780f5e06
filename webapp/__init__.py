"""The shop: catalogue, storefront, merchandising and API on Django."""
