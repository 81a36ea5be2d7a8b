"""The face-region ledger: which part of a face an attribution falls on, and what hiding it does.

``template`` where the regions lie, ``shares`` how much of a map falls on them, ``hiding`` what
happens without them, ``resample`` the intervals, ``ledger`` the table, ``findings`` what may be
said of it, ``overlap`` how good the template is.
"""
