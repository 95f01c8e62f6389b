"""Outside parties: their wire language in, our values and errors out."""
