"""Labels of a question and commitments to one of them. For `choice`."""
