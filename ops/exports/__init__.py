"""Exports: write a published dataset in the layout of another tool.

`exporting` runs an export, `formats` is the registry, `published` reads the dataset, and every format has a module.
"""
