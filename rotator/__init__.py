"""rotator: rotates the cloud credentials held by Northflank integrations."""

__version__ = "0.1.0"
