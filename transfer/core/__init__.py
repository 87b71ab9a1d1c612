"""Pure rules: functions over bytes and values. No disks, sockets, clocks, randomness."""
