"""Programs, tiles, threads and devices: what turns configurations into trained members."""
