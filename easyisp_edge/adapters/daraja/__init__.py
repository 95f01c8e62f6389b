"""Safaricom's Daraja: M-Pesa's wire language in, our payment values and errors out."""
