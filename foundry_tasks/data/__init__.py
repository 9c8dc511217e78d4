"""Where prices come from, and the wide matrices that everything is computed on."""
