"""One folder per cloud, with one Protocol for all (`base.Provider`)."""
