"""One HTTP request: one deadline, one bound, one truth about whether it was sent. For Northflank and every cloud."""
