"""The Helm chart, and what it carries of the code's own tables."""
