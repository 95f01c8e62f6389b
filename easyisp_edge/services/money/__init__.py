"""Money: from the first prompt to the books, by whichever door it comes."""
