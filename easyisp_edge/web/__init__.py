"""The HTTP door: read the request, call one service, answer."""
