"""Refusals of servers, disks and single items: recognised, told to the operator once, kept from spreading."""
