"""What servers, disks and single items refuse: recognised, told to the operator once, kept from spreading."""
