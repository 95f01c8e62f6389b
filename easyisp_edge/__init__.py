"""EasyISP Edge: sells hotspot time through M-Pesa beside a MikroTik router."""

__version__ = "0.1.0"
