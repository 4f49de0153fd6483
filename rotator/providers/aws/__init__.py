"""AWS: an IAM user's access keys, or the external ids of a role."""
