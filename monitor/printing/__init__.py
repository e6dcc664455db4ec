"""What commands print for people, and the same as JSON; nothing is computed here."""
