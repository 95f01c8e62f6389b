"""The hotspot router, by the RouterOS API."""
