"""The composition root: configuration, start and stop, routes, the command line.

Nothing imports `app`. What a lower domain needs from a higher one is handed to it here.
"""
