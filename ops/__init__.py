"""The computations of Growset: pure functions over arrays, frames and files.

"ops" is the library, not Dagster's `@op`: nothing in here imports Dagster. Import direction is
`pipelines -> assets -> ops`; a test enforces it.
"""
