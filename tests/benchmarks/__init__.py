"""Programs that measure; they are run by hand and assert nothing."""
