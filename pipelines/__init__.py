"""Composition: definitions, jobs, resources, and the `growset` command line.

Every door leads through here, so libraries are told to compute on one thread before any of them is loaded.
"""

from ops.machine.parallel import limit_libraries

limit_libraries()
