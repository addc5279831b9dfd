"""From a query and what a search proposes to the page that is shown: pure steps over words."""
