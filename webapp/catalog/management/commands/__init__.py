"""Django looks for modules here."""
