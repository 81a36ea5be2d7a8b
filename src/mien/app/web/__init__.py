"""The page's files: HTML, style and script, served as they are."""
