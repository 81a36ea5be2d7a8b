"""The report: one offline page of what the other verbs found; reads, formats, computes nothing.

``gather`` reads a run folder, ``sections`` turn it into words and tables, ``templates`` into HTML.
"""
