"""Composition: definitions, jobs, resources, and the `growset` command line.

Command line, Dagster and DVC all import this package, so it limits numeric libraries to one thread before they load.
"""

from ops.machine.parallel import limit_libraries

limit_libraries()
