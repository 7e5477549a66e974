"""Exports: a published dataset turned into the layout that another tool reads.

`running` does an export, `formats` is the registry, `published` reads what is exported, and every format has a module.
"""
