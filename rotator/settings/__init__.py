"""What any section of a config is made of: sections, secrets by reference, durations."""
