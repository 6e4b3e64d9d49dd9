"""What stakeholders look at: the site and the quarterly pack. Reads what is published, and computes nothing.

Filters and arithmetic live upstream, in views of the published database. Here is how numbers are written, drawn and
laid out. Nothing here opens the warehouse, a source, or a connection to anywhere.
"""
