"""One file per cloud behind one Protocol (`base.Provider`)."""
