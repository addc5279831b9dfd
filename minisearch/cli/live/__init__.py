"""``minisearch ui``: live search in the terminal, with Textual, which nothing else imports."""
