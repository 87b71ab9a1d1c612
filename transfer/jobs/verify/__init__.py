"""verify: is what is on the device what was put there? `stored` compares digests of files, `deep` opens every frame."""
