"""Programs that measure; they are run by hand. The tests beside them are of their pure parts."""
